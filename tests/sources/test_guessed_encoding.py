"""Encodings guessed as a person would: by the letters that come out."""

from pathlib import Path

import pytest

from pipeline.sources.guessed_encoding import guess_encoding

GERMAN = "sku;bild;länge\nA-1;https://h/1.jpg;Größe für Küche\nA-2;https://h/2.jpg;schwarz, weiß, Stück 5 €\n"
CHINESE = "编号,图片链接,客户,市场\nA-1,https://h/1.jpg,顶尖商贸,美国\n"
TAIWANESE = "編號,圖片連結,客戶,市場\nA-1,https://h/1.jpg,頂尖商貿,美國\n"
JAPANESE = "品番,画像,得意先\nA-1,https://h/1.jpg,株式会社テスト\n"
KOREAN = "품번,이미지,고객,시장\nA-1,https://h/1.jpg,에이스상사,미국\nA-2,https://h/2.jpg,한국무역,유럽연합\n"
RUSSIAN = "артикул;картинка;клиент\nA-1;https://h/1.jpg;Рога и копыта\n"


@pytest.mark.parametrize(
    ("text", "stored", "guessed"),
    [
        pytest.param("id,url\nA-1,https://h/1.jpg\n", "ascii", "utf-8", id="plain"),
        pytest.param(GERMAN, "utf-8", "utf-8", id="utf-8"),
        pytest.param(CHINESE, "utf-8-sig", "utf-8", id="utf-8 with a mark"),
        pytest.param(CHINESE, "utf-16", "utf-8", id="utf-16, which its mark tells"),
        pytest.param("id,url\nA-1,https://h/1.jpg\n", "utf-16-le", "utf-8", id="utf-16 without a mark"),
        pytest.param(GERMAN + CHINESE, "utf-16-le", "utf-16", id="utf-16 without a mark, of many letters"),
        pytest.param(GERMAN, "cp1252", "cp1252", id="German"),
        pytest.param("réf;photo\nthéière émaillée à l’ancienne;https://h/1.jpg\n", "cp1252", "cp1252", id="French"),
        pytest.param("sku;bild\nA;https://h/1.jpg?n=ü\n", "cp1252", "cp1252", id="one letter"),
        pytest.param(CHINESE, "gb18030", "gb18030", id="Chinese"),
        pytest.param("编号,图片\nA-1,https://h/1.jpg\n", "gbk", "gb18030", id="four Chinese letters"),
        pytest.param(TAIWANESE, "cp950", "big5", id="Taiwanese"),
        pytest.param(JAPANESE, "cp932", "shift_jis", id="Japanese"),
        pytest.param(KOREAN, "cp949", "cp949", id="Korean"),
        pytest.param(RUSSIAN, "cp1251", "cp1251", id="Russian"),
    ],
)
def test_encoding_of_a_list_is_guessed(text: str, stored: str, guessed: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(text.encode(stored))
    assert guess_encoding(tmp_path / "p.csv") == (guessed, True)


def test_bytes_of_no_known_text_are_not_called_certain(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"id,url\n" + bytes(range(0x80, 0x100)) * 3 + b",https://h/1.jpg\n")
    assert not guess_encoding(tmp_path / "p.csv").sure


def test_letters_far_below_the_top_count_too(tmp_path: Path) -> None:
    rows = "".join(f"A-{n};https://h/{n}.jpg;plain\n" for n in range(20_000))
    (tmp_path / "p.csv").write_bytes(("sku;bild;farbe\n" + rows + "B;https://h/b.jpg;Grün\n").encode("cp1252"))
    assert guess_encoding(tmp_path / "p.csv").encoding == "cp1252"
