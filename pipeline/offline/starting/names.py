"""Names of columns as people write them, in the languages of those who send lists: of ids, of pictures, of labels.

A name is only a hint. The values of a column decide what it is; of columns whose values fit alike the name decides.
"""

import re
import unicodedata

# The first group that matches counts: a product's own number is better than a code that others gave it.
_IDS = (
    r"(id|sku)",
    r"(sku|id|item|article|artikel|art|product|produkt|model|style|part|prod)s?"
    r" ?(id|no|nr|num|number|nummer|code|sku|ref)?"
    r"|.*\b(sku|id)\b.*|artikelnummer|bestellnummer|materialnummer"
    r"|referen(ce|cia|z)|r[eé]f[eé]rence|r[eé]f|c[oó]digo|codice"
    r"|артикул|код|(商品|产品|產品)?(编号|編號|编码|編碼|货号|貨號|款号|款號|型号|型號|料号|品号)|品番|型番|商品コード|商品番号|품번|상품코드|상품번호",
    r"(asin|ean|gtin|upc|mpn|isbn|jan|barcode)( ?(code|no|nr|13|8))?",
)
_PICTURE = re.compile(
    r"image|img|picture|\bpics?\b|photo|bild|foto|imagen|immagine|afbeelding|zdj[eę]ci|obraz"
    r"|фото|картин|изображ|图|圖|画像|写真|照片|이미지|사진"
)
_PLACE = re.compile(
    r"\b(url|uri|link|href|path|file ?name|datei(name)?|file|src)\b|链接|連結|地址|网址|リンク|パス|링크"
)
_MAIN = re.compile(r"\b(main|primary|cover|hero|haupt\w*|principale?|default|first)\b|主图|主圖|首图|封面|メイン|대표")
_SIDES = re.compile(
    r"\b(front|back|rear|side|left|right|top|bottom|above|below|perspective|vorne|vorderseite|hinten|r[uü]ckseite|seite"
    r"|links|rechts|oben|unten)\b|正面|背面|侧面|側面|左|右|俯视|顶部|底部|立体|앞|뒤"
)
_LABEL = re.compile(
    r"client|customer|kunde|mandant|account|brand|marke|marque|market|marktplatz|country|\bland\b|region|category|kategorie"
    r"|supplier|vendor|lieferant|season|saison|status|owner|team|channel|store|shop|platform|collection|line|segment"
    r"|客户|客戶|顾客|品牌|市场|市場|国家|國家|地区|地區|类目|類目|分类|分類|平台|店铺|店鋪|供应商|季|顧客|得意先|国|고객|시장|клиент|рынок|бренд|страна"
)
_CLIENT = re.compile(r"client|customer|kunde|mandant|account|客户|客戶|顾客|顧客|得意先|고객|клиент")
_MARKET = re.compile(r"market|marktplatz|country|\bland\b|region|市场|市場|国家|國家|地区|地區|시장|рынок|страна")
_NUMBER = re.compile(r"[\s_.#-]*\(?\d+\)?$")


def plain(name: str) -> str:
    """Write a column's name without what people do not see: case, accents apart, dots and dashes."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(re.sub(r"[\s_.#:/()-]+", " ", text).split())


def rank_of_id(name: str) -> int:
    """Rank a name as that of an id, from 0 for the best to 3 for one that says nothing."""
    text = plain(name)
    return next((rank for rank, pattern in enumerate(_IDS) if re.fullmatch(pattern, text)), len(_IDS))


def rank_of_picture(name: str) -> int:
    """Rank a name as that of pictures: 0 for one that says so, 1 for one of places of any kind, 2 for any other."""
    text = plain(name)
    return 0 if _PICTURE.search(text) else 1 if _PLACE.search(text) else 2


def is_main(name: str) -> bool:
    """Return whether a name says that of several pictures it is the one."""
    return _MAIN.search(plain(name)) is not None


def are_views(names: list[str]) -> bool:
    """Return whether names are those of several views of one product: numbered alike, or sides of it."""
    stems = {plain(_NUMBER.sub("", name)) for name in names}
    return len(stems) == 1 or all(_SIDES.search(plain(name)) for name in names)


def speaks_of_label(name: str) -> bool:
    """Return whether a name is one by which people sort their products: client, market, brand."""
    return _LABEL.search(plain(name)) is not None


def client_among(names: list[str]) -> str:
    """Return the first name that is one of clients; "" where none is."""
    return next((name for name in names if _CLIENT.search(plain(name))), "")


def market_among(names: list[str]) -> str:
    """Return the first name that is one of markets; "" where none is."""
    return next((name for name in names if _MARKET.search(plain(name))), "")


def slug(text: str) -> str:
    """Write a text as a job's name may be written; "" where nothing of it is left."""
    ascii_only = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:64].strip("-")
