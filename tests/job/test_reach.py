"""URLs that no vendor elsewhere can fetch are refused before anything is paid, however their host is spelled."""

import pytest

from pipeline.job.reach import check_picture_url

THIS_MACHINE = [
    *("localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
    *("017700000001", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::7f00:1]"),
    *("localtest.me", "shop.localtest.me", "lvh.me", "a.b.vcap.me", "127.0.0.1.nip.io", "a-127-0-0-1.sslip.io"),
    *("%31%32%37.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "[2002:7f00:1::]", "[64:ff9b::127.0.0.1]", "0x7f.0x0.0x0.0x1"),
]
PRIVATE = [
    *("10.0.0.1", "172.16.0.1", "192.168.0.1", "0xa000001", "012.0.0.1", "3232235521", "[fd00::1]"),
    *("10.0.0.1.nip.io", "img.192-168-0-1.sslip.io"),
]
LINK_LOCAL = ["169.254.169.254", "[fe80::1]", "[fe80::1%25eth0]", "[0:0:0:0:0:ffff:169.254.169.254]", "0xA9FEA9FE"]
SPECIAL = ["100.64.0.1", "224.0.0.1", "[ff02::1]"]
NAMES = ["pictures", "nas.local", "metadata.google.internal", "cdn.corp", "a.localhost", "router.lan", "a.invalid"]
PUBLIC = [
    *("cdn.example.com", "1.1.1.1", "0x01010101", "16843009", "[2606:4700:4700::1111]", "[::ffff:1.1.1.1]"),
    *("sandbox.invalid", "notlocaltest.me", "localtest.me.example", "1.1.1.1.nip.io", "1-1-1-1.sslip.io", "nip.io"),
    *("bücher.example", "127.0.0.1.example", "localhost.example", "10.example.com", "1e100.net", "xn--1-0ca.example"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "why"),
    [
        *((host, "this machine") for host in THIS_MACHINE),
        *((host, "a private address") for host in PRIVATE),
        *((host, "a link-local address") for host in LINK_LOCAL),
        *((host, "address") for host in [*SPECIAL, "999.1.1.1", "1.2.3.4.5", "255.255.255.255", "192.0.2.1"]),
        *((host, "a name inside one network") for host in NAMES if host != "a.localhost"),
    ],
)
def test_host_that_the_vendor_cannot_reach_is_refused_with_its_kind(host: str, why: str) -> None:
    for url in (f"http://{host}/a.jpg", f"https://{host}:8443/a.jpg?b=c"):
        with pytest.raises(ValueError, match=r"cannot reach .*list a URL that opens from anywhere") as refusal:
            check_picture_url(url)
        assert why in str(refusal.value)


@pytest.mark.parametrize("host", PUBLIC)
def test_public_host_is_taken_as_it_is_written(host: str) -> None:
    assert check_picture_url(f"https://{host}/a.jpg") == f"https://{host}/a.jpg"


def test_scheme_that_is_there_twice_is_called_that() -> None:
    with pytest.raises(ValueError, match="begins twice with https://"):
        check_picture_url("https://https://cdn.example.com/1.jpg")


def test_length_of_a_url_is_that_of_the_bytes_which_are_sent() -> None:
    fits = "https://h.example/" + "图" * ((4096 - 18) // 9)  # nine bytes each: %E5%9B%BE
    assert check_picture_url(fits) == fits
    with pytest.raises(ValueError, match=r"at most 4,096 bytes as it is sent; this one has 4,\d\d\d"):
        check_picture_url(fits + "图图")
    assert check_picture_url("https://h.example/?" + "%20=&" * 800)  # what is encoded already is not encoded again
