"""Attacks on the egress policy: ways to name a target that must not be reached, and what has to become of each.

Data only. Written from the standards that define the spellings (inet_aton(3), WHATWG URL, UTS 46, RFC 3986, 4291, 4380, 5214,
6052, 9110) and from the clouds' own documents; the worker's answers are not their source. `{port}` stands for the port of a
listener.

*by* says how the target is named: as a bare host, as a URL, as the Location of a redirect, as a name with these records, or as a
header of a response that must not be followed. *reaches* is where the worker would connect if nothing held it back, "" where
nothing could be connected to. *expected* is the failure code of the run, "" for a run that must pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Way: TypeAlias = Literal["host", "url", "location", "name", "header"]

DENIED = "DENIED"
INVALID = "INVALID_REQUEST"
UNKNOWN = "DNS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    kind: str
    by: Way
    target: str
    reaches: str
    expected: str
    records: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a name: its type → record data."""
    status: str = "302 Found"

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.by} {self.target.encode('unicode_escape').decode()} {dict(self.records) or ''}".strip()
        )


ALTERNATE_IPV4 = {
    "127.0.0.1": (
        "127.1", "127.0.1", "127.0.0.1.", "127.1.", "0177.0.0.1", "0177.1", "0177.0.1", "0177.0000.00.01", "127.0.0.01",
        "127.000.000.001", "127.0x0.0.1", "0x7f.1", "0x7f.0.1", "0x7f.0.0.1", "0x7F.0x0.0x0.0x1", "0X7f.0.0.1", "0x7f000001",
        "0x7F000001", "0x7f000001.", "2130706433", "2130706433.", "017700000001", "0177.0x1", "127.0x000001",
        "00000000000000000000177.0.0.1", "0x000000000000007f.1",
    ),
    "127.127.127.127": ("127.8355711", "0x7f7f7f7f", "2139062143", "0177.0177.0177.0177"),
    "0.0.0.0": ("0", "0.", "00", "0x0", "0x00000000", "0.0", "0.0.0", "0000.0.0x0.0"),
    "169.254.169.254": (
        "2852039166", "0xa9fea9fe", "0xA9FEA9FE", "025177524776", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "169.254.43518",
        "169.16689662", "0251.254.169.254", "0xa9.254.0251.254", "169.0xfe.0xa9fe", "0251.0xfea9fe", "169.254.0251.0xfe",
    ),
    "169.254.170.2": ("2852039170", "0xa9feaa02", "169.254.43522"),
    "10.0.0.1": ("10.1", "10.0.1", "012.1", "0xa.1", "0x0a000001", "167772161", "01200000001"),
    "172.16.0.1": ("172.1048577", "2886729729", "0xac100001", "0254.020.0.1"),
    "192.168.1.1": ("192.168.257", "192.11010305", "3232235777", "0xc0a80101", "0300.0250.1.1"),
    "100.100.100.200": ("1684301000", "0x646464c8", "0144.0144.0144.0310"),
    "192.0.0.192": ("3221225664", "0xc00000c0"),
    "168.63.129.16": ("2822734096", "0xa83f8110", "168.4161808"),
}  # fmt: skip

NO_IPV4 = (
    "425.510.425.510", "0x41414141A9FEA9FE", "0x17f000001", "4294967296", "0x100000000", "256.0.0.1", "127.0.0.256",
    "127.0.65536",
    "127.16777216", "1.2.3.4.5", "127.0.0.1.1", "127.0.0.1.0x7f", "08.0.0.1", "0x7g.0.0.1", "127.0.0.0x", "00x7f.1",
    "99999999999999999999", "127..0.1", ".127.0.0.1", "127.0.0.1..", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1 x", "127.0.0.1\t",
    "+127.0.0.1", "127.0.0.1,example.test", "127.0.0.1;", "127.0.0.1%00", "127.0.0.1\0.example.test", "127.0.0.1\r\nx",
    "0x7f,1",
)  # fmt: skip
"""Overflows, wrong digits and trailing matter: nobody may find an address in these."""

NAMES_NOT_NUMBERS = ("127-0-0-1", "0b1111111.1.a", "1e9.example", "0x7f000001.example.test", "127.0.0.1.example.test")

UNICODE_IPV4 = {
    "127.0.0.1": (
        "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",  # circled digits
        "\uff11\uff12\uff17.\uff10.\uff10.\uff11",  # full-width digits
        "\uff11\uff12\uff17\uff0e\uff10\uff0e\uff10\uff0e\uff11",  # and full-width stops
        "127\u30020\u30020\u30021",  # ideographic full stop
        "127\uff610\uff610\uff611",  # half-width ideographic full stop
        "127\uff0e0\uff0e0\uff0e1",  # full-width full stop
        "127.0\u30020\uff0e1",
        "\U0001d7cf\U0001d7d0\U0001d7d5.\U0001d7ce.\U0001d7ce.\U0001d7cf",  # mathematical bold digits
        "\U0001d7d9\U0001d7da\U0001d7df.\U0001d7d8.\U0001d7d8.\U0001d7d9",  # double-struck digits
        "\U0001d7e3\U0001d7e4\U0001d7e9.1",  # sans-serif digits, short form
        "\u00b9\u00b2\u2077.\u2070.\u2070.\u00b9",  # superscripts
        "\u2081\u2082\u2087.\u2080.\u2080.\u2081",  # subscripts
        "12\u00ad7.0.0.1",  # soft hyphen
        "127.0.0.\u200b1",  # zero-width space
        "127.\u20600.0.1",  # word joiner
        "0\uff58\u2466\u24d5.1",  # hexadecimal, full-width x and circled digits
        "\u24ea\u24e7\u2466\u24d5\u24ea\u24ea\u24ea\u24ea\u24ea\u2460",
    ),
    "169.254.169.254": (
        "\uff11\uff16\uff19.\uff12\uff15\uff14.\uff11\uff16\uff19.\uff12\uff15\uff14",
        "\u24ea\u24e7\u24d0\u2468\u24d5\u24d4\u24d0\u2468\u24d5\u24d4",
        "169\u3002254\u3002169\u3002254",
        "\uff12\uff18\uff15\uff12\uff10\uff13\uff19\uff11\uff16\uff16",  # one decimal number
    ),
}  # fmt: skip

UNICODE_INVALID = (
    "\uff3b::1\uff3d",  # full-width brackets
    "\uff1a\uff1a1",  # full-width colons
    "127.0.0.1\uff0f.example.test",  # full-width solidus
    "127.0.0.1\uff03.example.test",  # full-width number sign
    "127.0.0.1\uff1f.example.test",  # full-width question mark
    "example.test\uff20127.0.0.1",  # full-width commercial at
    "127.0.0.1\u2100.example.test",  # account of: decomposes to a/c
    "\u2474\u2475.1",  # parenthesized digits
    "127.0.0.1\u202e",  # right-to-left override
    "127.0.0.1\ufffd",
)

IPV6: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("loopback", "::1", (
        "::1", "[::1]", "0:0:0:0:0:0:0:1", "[0:0:0:0:0:0:0:1]", "0000:0000:0000:0000:0000:0000:0000:0001", "::0001", "0::1",
        "::0:1",
        "::0.0.0.1", "0:0:0:0:0:0:0.0.0.1",
    )),
    ("unspecified", "::", ("::", "[::]", "0::0", "0:0:0:0:0:0:0:0", "::0.0.0.0")),
    ("IPv4-mapped", "127.0.0.1", (
        "::ffff:127.0.0.1", "[::ffff:127.0.0.1]", "::FFFF:127.0.0.1", "::ffff:7f00:1", "::ffff:7f00:0001",
        "0:0:0:0:0:ffff:127.0.0.1",
        "0000:0000:0000:0000:0000:ffff:7f00:0001",
    )),
    ("IPv4-mapped", "169.254.169.254", ("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "[::FFFF:A9FE:A9FE]")),
    ("IPv4-mapped", "10.0.0.1", ("::ffff:10.0.0.1", "::ffff:a00:1")),
    ("IPv4-mapped", "168.63.129.16", ("::ffff:168.63.129.16", "::ffff:a83f:8110")),
    ("IPv4-mapped", "0.0.0.0", ("::ffff:0.0.0.0", "::ffff:0:0")),
)  # fmt: skip

IPV6_AS_IT_STANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("IPv4-compatible", ("::127.0.0.1", "::7f00:1", "::169.254.169.254", "::a00:1", "::8.8.8.8")),
    ("IPv4-translated", ("::ffff:0:127.0.0.1", "::ffff:0:7f00:1", "::ffff:0:a9fe:a9fe", "::ffff:0:10.0.0.1",
        "::ffff:0:8.8.8.8")),
    ("NAT64", (
        "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b::192.168.1.1",
        "64:ff9b::168.63.129.16", "64:ff9b::0.0.0.0", "0064:ff9b:0:0:0:0:172.16.0.1",
    )),
    ("local-use NAT64", (
        "64:ff9b:1::127.0.0.1", "64:ff9b:1:7f00:0:100::", "64:ff9b:1:7f:0:1::", "64:ff9b:1:0:7f:0:100:0",
        "64:ff9b:1:ffff::a00:1",
        "64:ff9b:1::8.8.8.8",
    )),
    ("6to4", ("2002:7f00:1::", "2002:7f00:0001::1", "2002:a9fe:a9fe::1", "2002:a00:1::1", "2002:c0a8:101::1",
        "2002:808:808::1")),
    ("Teredo", (
        "2001:0:7f00:1::", "2001:0:808:808:8000:63bf:80ff:fffe", "2001:0:a00:1:0:0:f7f7:f7f7", "2001::808:808:0:0:5601:5601",
    )),
    ("ISATAP", (
        "fe80::5efe:127.0.0.1", "2a00::5efe:127.0.0.1", "2a00::200:5efe:10.0.0.1", "2a00:1:2:3:0:5efe:a9fe:a9fe",
        "2a00:1:2:3:200:5efe:c0a8:101",
    )),
    ("unique local", ("fc00::1", "fd00::1", "fdff:ffff::1", "fd00:ec2::254", "fd20:ce::254", "fd00:ec2::253")),
    ("link-local", ("fe80::1", "fe80::a9fe:a9fe", "febf::1")),
    ("site-local", ("fec0::1", "feff::1", "fec0:0:0:ffff::1")),
    ("outside global unicast", (
        "fe00::1", "4000::1", "1fff::1", "200::1", "::1:0:0", "64:ff9b:2::1", "64:ff9b::1:0:0", "c000::1", "fbff::1", "8000::",
    )),
    ("multicast", ("ff01::1", "ff02::1", "ff05::2", "ff0e::1")),
    ("special purpose", (
        "100::1", "100:0:0:1::1", "2001:2::1", "2001:10::1", "2001:db8::1", "3fff::1", "5f00::1", "2001:100::1",
    )),
)  # fmt: skip

IPV6_INVALID = (
    "::1%lo", "::1%1", "[::1%lo]", "[::1%25lo]", "fe80::1%eth0", "[fe80::1%25eth0]", "fe80::1%", "::ffff:127.0.0.1%lo",
    "127.0.0.1%lo", "[::1", "::1]", "[[::1]]", "[127.0.0.1]", "[]", "[::1].", "[::1]x", ":", "::1::", "1::2::3", ":::1",
    "::1/128",
    "::ffff:127.1", "::ffff:0x7f.0.0.1", "::ffff:0177.0.0.1", "::ffff:256.0.0.1", "::ffff:127.0.0.1.", "::00001",
    "1:2:3:4:5:6:7:8:9",
    "::ffff:2130706433", "[v1.::1]", "::\uff11",
)  # fmt: skip
"""Zone ids name an interface; the rest are no addresses, and none may be read as the one that they resemble."""

IPV4: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loopback", ("127.0.0.1", "127.0.0.2", "127.127.127.127", "127.255.255.254")),
    ("unspecified", ("0.0.0.0",)),
    ("private", ("10.0.0.1", "10.255.255.254", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.255.254")),
    ("metadata", (
        "169.254.169.254", "169.254.169.253", "169.254.170.2", "169.254.170.23", "169.254.0.23", "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
    )),
    ("special purpose", (
        "100.64.0.1", "100.127.255.254", "169.254.0.1", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.254",
        "198.51.100.1", "203.0.113.1",
    )),
)  # fmt: skip

IPV4_UNCONNECTABLE = (
    "0.0.0.1",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
)
"""Denied, although most kernels would refuse a connection by themselves."""

NAMES: tuple[tuple[str, Mapping[str, tuple[str, ...]], str], ...] = (
    ("localhost", {"A": ("127.0.0.1",)}, "127.0.0.1"),
    ("LOCALHOST", {"A": ("127.0.0.1",)}, "127.0.0.1"),
    ("localhost.", {"A": ("127.0.0.1",)}, "127.0.0.1"),
    ("localhost.localdomain", {"A": ("127.0.0.1",)}, "127.0.0.1"),
    ("\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54", {"A": ("127.0.0.1",)}, "127.0.0.1"),
    ("\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3", {"A": ("127.0.0.1",)}, "127.0.0.1"),
    ("local\u00adhost", {"A": ("127.0.0.1",)}, "127.0.0.1"),
    ("ip6-localhost", {"AAAA": ("::1",)}, "::1"),
    ("ip6-loopback", {"AAAA": ("::1",)}, "::1"),
    ("metadata.google.internal", {"A": ("169.254.169.254",)}, "169.254.169.254"),
    ("metadata.tencentyun.com", {"A": ("169.254.0.23",)}, "169.254.0.23"),
    ("instance-data.ec2.internal", {"A": ("169.254.169.254",)}, "169.254.169.254"),
    ("instance-data.test", {"A": ("169.254.169.254",), "AAAA": ("fd00:ec2::254",)}, "169.254.169.254"),
    ("wireserver.test", {"A": ("168.63.129.16",)}, "168.63.129.16"),
    ("kubernetes.default.svc.cluster.local", {"A": ("10.96.0.1",)}, "10.96.0.1"),
    ("host.docker.internal", {"A": ("172.17.0.1",)}, "172.17.0.1"),
    ("127.0.0.1.dial.test", {"A": ("127.0.0.1",)}, "127.0.0.1"),
    ("2130706433.dial.test", {"A": ("127.0.0.1",)}, "127.0.0.1"),
    ("xn--bcher-kva.test", {"A": ("10.0.0.1",)}, "10.0.0.1"),
    ("b\u00fccher.test", {"A": ("10.0.0.1",)}, "10.0.0.1"),
    ("_service.test", {"A": ("10.0.0.1",)}, "10.0.0.1"),
    ("zero.test", {"A": ("0.0.0.0",)}, "0.0.0.0"),
    ("broadcast.test", {"A": ("255.255.255.255",)}, ""),
    ("two-bad.test", {"A": ("10.0.0.1", "127.0.0.1")}, "10.0.0.1"),
    ("many-bad.test", {"A": tuple(f"10.0.0.{last}" for last in range(1, 31))}, "10.0.0.1"),
    ("both-bad.test", {"A": ("127.0.0.1",), "AAAA": ("::1",)}, "127.0.0.1"),
    ("mapped.test", {"AAAA": ("::ffff:127.0.0.1",)}, "127.0.0.1"),
    ("mapped-metadata.test", {"AAAA": ("::ffff:169.254.169.254",)}, "169.254.169.254"),
    ("compatible.test", {"AAAA": ("::127.0.0.1",)}, "::7f00:1"),
    ("translated.test", {"AAAA": ("::ffff:0:127.0.0.1",)}, "::ffff:0:7f00:1"),
    ("nat64.test", {"AAAA": ("64:ff9b::127.0.0.1",)}, "64:ff9b::7f00:1"),
    ("nat64-metadata.test", {"AAAA": ("64:ff9b::169.254.169.254",)}, "64:ff9b::a9fe:a9fe"),
    ("local-nat64.test", {"AAAA": ("64:ff9b:1::10.0.0.1",)}, "64:ff9b:1::a00:1"),
    ("6to4.test", {"AAAA": ("2002:7f00:1::1",)}, "2002:7f00:1::1"),
    ("teredo.test", {"AAAA": ("2001:0:808:808:8000:63bf:80ff:fffe",)}, "2001:0:808:808:8000:63bf:80ff:fffe"),
    ("isatap.test", {"AAAA": ("2a00::5efe:10.0.0.1",)}, "2a00::5efe:a00:1"),
    ("unspecified.test", {"AAAA": ("::",)}, "::"),
    ("unique-local.test", {"AAAA": ("fd00::1",)}, "fd00::1"),
    ("link-local.test", {"AAAA": ("fe80::1",)}, ""),
    ("to-localhost.test", {"CNAME": ("localhost.",)}, "127.0.0.1"),
    ("far-to-localhost.test", {"CNAME": ("to-localhost.test.",)}, "127.0.0.1"),
    ("to-metadata.test", {"CNAME": ("metadata.google.internal.",)}, "169.254.169.254"),
    ("to-ip6-localhost.test", {"CNAME": ("ip6-localhost.",)}, "::1"),
)

URLS: tuple[tuple[str, str, str], ...] = (
    ("http://127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("HTTP://127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("hTTpS://127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://127.0.0.1:{port}", "127.0.0.1", DENIED),
    ("http://127.0.0.1:{port}?@outside.test/", "127.0.0.1", DENIED),
    ("http://127.0.0.1:{port}#@outside.test/", "127.0.0.1", DENIED),
    ("http://127.0.0.1:{port}/@outside.test", "127.0.0.1", DENIED),
    ("http://127.0.0.1:{port}//outside.test/..", "127.0.0.1", DENIED),
    ("http://outside.test@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://outside.test:80@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://:@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://user:p%40ss@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://outside.test%2F@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://outside.test%23@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://127.0.0.1.:{port}/", "127.0.0.1", DENIED),
    ("http://0/", "0.0.0.0", DENIED),
    ("http://0:{port}/", "0.0.0.0", DENIED),
    ("http://127.1:{port}/", "127.0.0.1", DENIED),
    ("http://0x7f.1:{port}/", "127.0.0.1", DENIED),
    ("http://2130706433:{port}/", "127.0.0.1", DENIED),
    ("http://[::1]:{port}/", "::1", DENIED),
    ("http://[::]:{port}/", "::", DENIED),
    ("http://[::ffff:127.0.0.1]:{port}/", "127.0.0.1", DENIED),
    ("http://[64:ff9b::127.0.0.1]:{port}/", "64:ff9b::7f00:1", DENIED),
    ("http://user@[::1]:{port}/", "::1", DENIED),
    ("http://169.254.169.254/latest/meta-data/", "169.254.169.254", DENIED),
    ("http://169.254.170.2/v2/credentials/", "169.254.170.2", DENIED),
    ("http://[fd00:ec2::254]/latest/meta-data/", "fd00:ec2::254", DENIED),
    ("http://168.63.129.16/machine?comp=goalstate", "168.63.129.16", DENIED),
    ("http://100.100.100.200/latest/meta-data/", "100.100.100.200", DENIED),
    ("http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/", "127.0.0.1", DENIED),
    ("http://127\u30020\u30020\u30021:{port}/", "127.0.0.1", DENIED),
    ("http://127.0.0.1:{port}/\u2460", "127.0.0.1", DENIED),
    ("http://127.0.0.1:{port}/a b", "127.0.0.1", DENIED),
    ("http://127.0.0.1:{port}/\r\nHost: outside.test\r\n\r\n", "127.0.0.1", DENIED),
    ("http://1.1.1.1 &@127.0.0.1:{port}# @3.3.3.3/", "", INVALID),
    ("http://127.0.0.1:{port}\\@outside.test/", "", INVALID),
    ("http://outside.test\\@127.0.0.1:{port}/", "", INVALID),
    ("http://outside.test:80\\@127.0.0.1:{port}/", "", INVALID),
    ("http:\\\\127.0.0.1:{port}\\", "", INVALID),
    ("http:/\\127.0.0.1:{port}/", "", INVALID),
    ("http://user@127.0.0.1:{port}@outside.test/", "", INVALID),
    ("http://outside.test@127.0.0.1@127.0.0.2:{port}/", "", INVALID),
    ("http://outside.test:{port}:80/", "", INVALID),
    ("http://127.0.0.1:80:{port}/", "", INVALID),
    ("http://[::1]@outside.test:{port}/", "", UNKNOWN),
    ("http://[::1]outside.test:{port}/", "", INVALID),
    ("http://outside.test[::1]:{port}/", "", INVALID),
    ("http://[::1%25lo]:{port}/", "", INVALID),
    ("http://[::1%lo]:{port}/", "", INVALID),
    ("http://[fe80::1%25eth0]:{port}/", "", INVALID),
    ("http://[127.0.0.1]:{port}/", "", INVALID),
    ("http://::1:{port}/", "", INVALID),
    ("http:///127.0.0.1:{port}/", "", INVALID),
    ("http:////127.0.0.1:{port}/", "", INVALID),
    ("http:127.0.0.1:{port}/", "", INVALID),
    ("http:/127.0.0.1:{port}/", "", INVALID),
    ("//127.0.0.1:{port}/", "", INVALID),
    ("127.0.0.1:{port}/", "", INVALID),
    ("http://", "", INVALID),
    ("http:///", "", INVALID),
    ("http://:{port}/", "", INVALID),
    ("http://user@:{port}/", "", INVALID),
    ("http://127.0.0.1:+{port}/", "", INVALID),
    ("http://127.0.0.1:-1/", "", INVALID),
    ("http://127.0.0.1:{port} /", "", INVALID),
    ("http://127.0.0.1:0x50/", "", INVALID),
    ("http://127.0.0.1:\uff18\uff10/", "", INVALID),
    ("http://127.0.0.1:65536/", "", INVALID),
    ("http://127.0.0.1:4295032912/", "", INVALID),
    ("http://127.0.0.1:0/", "", INVALID),
    ("http://127.0.0.1 :{port}/", "", INVALID),
    ("http:// 127.0.0.1:{port}/", "", INVALID),
    ("http://127.0.0\t.1:{port}/", "", INVALID),
    ("http://127.0.0.1\0.outside.test:{port}/", "", INVALID),
    ("http://127.0.0.1\r\n:{port}/", "", INVALID),
    ("http://127.0.0.1%00.outside.test:{port}/", "", INVALID),
    ("http://127.0.0.1%2eoutside.test:{port}/", "", INVALID),
    ("http://%31%32%37.0.0.1:{port}/", "", INVALID),
    ("http://127.0.0.1%23.outside.test:{port}/", "", INVALID),
    ("http://127.0.0.1\uff0f@outside.test:{port}/", "", UNKNOWN),
    ("http://127.0.0.1\uff0foutside.test:{port}/", "", INVALID),
    ("http://outside.test\uff03@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://127.0.0.1\uff03@outside.test:{port}/", "", UNKNOWN),
    ("http://*.0.0.1:{port}/", "", INVALID),
    ("http://425.510.425.510:{port}/", "", INVALID),
    ("http://127.0.0.1.1:{port}/", "", INVALID),
    ("http://0x41414141A9FEA9FE:{port}/", "", INVALID),
    ("file:///etc/passwd", "", INVALID),
    ("file://127.0.0.1:{port}/etc/passwd", "", INVALID),
    ("gopher://127.0.0.1:{port}/_GET%20/", "", INVALID),
    ("dict://127.0.0.1:{port}/stats", "", INVALID),
    ("ftp://127.0.0.1:{port}/", "", INVALID),
    ("ldap://127.0.0.1:{port}/", "", INVALID),
    ("tftp://127.0.0.1:{port}/", "", INVALID),
    ("ws://127.0.0.1:{port}/", "", INVALID),
    ("unix:///var/run/docker.sock", "", INVALID),
    ("http+unix://%2Fvar%2Frun%2Fdocker.sock/", "", INVALID),
    ("jar:http://127.0.0.1:{port}/!/", "", INVALID),
    ("url:http://127.0.0.1:{port}/", "", INVALID),
    ("view-source:http://127.0.0.1:{port}/", "", INVALID),
    ("data:text/plain,x", "", INVALID),
    ("javascript:location='http://127.0.0.1:{port}/'", "", INVALID),
    (" http://127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("\nhttp://127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("\ufeffhttp://127.0.0.1:{port}/", "", INVALID),
    ("ht\ttp://127.0.0.1:{port}/", "", INVALID),
    ("http\u200b://127.0.0.1:{port}/", "", INVALID),
    ("", "", INVALID),
)

LOCATIONS: tuple[tuple[str, str, str], ...] = (
    ("http://127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("//127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("https://127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("HTTP://127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("  http://127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://outside.test@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("//outside.test@127.0.0.1:{port}/", "127.0.0.1", DENIED),
    ("http://[::1]:{port}/", "::1", DENIED),
    ("//[::ffff:127.0.0.1]:{port}/", "127.0.0.1", DENIED),
    ("http://2130706433:{port}/", "127.0.0.1", DENIED),
    ("//0x7f.1:{port}", "127.0.0.1", DENIED),
    ("http://0:{port}/", "0.0.0.0", DENIED),
    ("http://169.254.169.254/latest/meta-data/", "169.254.169.254", DENIED),
    ("//169.254.169.254/latest/meta-data/", "169.254.169.254", DENIED),
    ("http://localhost:{port}/", "127.0.0.1", DENIED),
    ("http://metadata.google.internal/", "169.254.169.254", DENIED),
    ("http://127.0.0.1:{port}\\@outside.test/", "", INVALID),
    ("http://outside.test\\@127.0.0.1:{port}/", "", INVALID),
    ("http://[::1%25lo]:{port}/", "", INVALID),
    ("//127.0.0.1:{port}:80/", "", INVALID),
    ("http:127.0.0.1:{port}/", "", INVALID),
    ("http:///127.0.0.1:{port}/", "", INVALID),
    ("file:///etc/passwd", "", INVALID),
    ("gopher://127.0.0.1:{port}/_x", "", INVALID),
    ("unix:/var/run/docker.sock", "", INVALID),
    ("javascript:alert(1)", "", INVALID),
    ("data:,x", "", INVALID),
    ("http://", "", INVALID),
)

STATUSES = ("301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect")

NOT_FOLLOWED: tuple[tuple[str, str], ...] = (
    ("300 Multiple Choices", "Location: http://127.0.0.1:{port}/"),
    ("304 Not Modified", "Location: http://127.0.0.1:{port}/"),
    ("305 Use Proxy", "Location: http://127.0.0.1:{port}/"),
    ("306 Switch Proxy", "Location: http://127.0.0.1:{port}/"),
    ("201 Created", "Location: http://127.0.0.1:{port}/"),
    ("200 OK", "Location: http://127.0.0.1:{port}/"),
    ("200 OK", "Refresh: 0; url=http://127.0.0.1:{port}/"),
    ("200 OK", 'Alt-Svc: h3="127.0.0.1:{port}"; ma=86400, h2="127.0.0.1:{port}", http/1.1="127.0.0.1:{port}"'),
    ("200 OK", "Content-Location: http://127.0.0.1:{port}/"),
    ("200 OK", "Link: <http://127.0.0.1:{port}/>; rel=preload; as=fetch, <http://127.0.0.1:{port}/>; rel=preconnect"),
    ("401 Unauthorized", 'WWW-Authenticate: Bearer authorization_uri="http://127.0.0.1:{port}/"'),
    ("407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="http://127.0.0.1:{port}/"'),
)
"""Fields and statuses that may name another server and are no redirect."""

ALLOWED = (
    "8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1",
    "169.253.255.255", "169.255.0.1", "168.63.129.15", "168.63.129.17", "172.15.255.255", "172.32.0.1", "192.0.0.9",
    "192.0.1.1",
    "192.167.255.255", "192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.254", "134744072", "0x8080808", "010.8.8.8",
    "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2606:4700:4700::1111", "2001:1::1", "2001:200::1", "2a00::5efe:8.8.8.8", "3ffe::1",
)  # fmt: skip
"""Neighbours of what is denied, that tests have every right to reach: the policy must not be a wall."""


def vectors() -> Iterator[Vector]:
    """All of them, the allowed ones too."""
    yield from _by_address()
    for target in (*NO_IPV4, *UNICODE_INVALID):
        yield Vector(kind="no IPv4 address", by="host", target=target, reaches="", expected=INVALID)
    for target in NAMES_NOT_NUMBERS:
        yield Vector(kind="a name, not a number", by="host", target=target, reaches="", expected=UNKNOWN)
    for target in IPV6_INVALID:
        yield Vector(kind="no IPv6 address", by="host", target=target, reaches="", expected=INVALID)
    for name, records, reaches in NAMES:
        yield Vector(kind="name", by="name", target=name, reaches=reaches, expected=DENIED, records=records)
    for url, reaches, expected in URLS:
        yield Vector(kind="URL", by="url", target=url, reaches=reaches, expected=expected)
    for turn, (location, reaches, expected) in enumerate(LOCATIONS):
        status = STATUSES[turn % len(STATUSES)]
        yield Vector(kind="redirect", by="location", target=location, reaches=reaches, expected=expected, status=status)
    for status in STATUSES:
        target = "http://127.0.0.1:{port}/" + status[:3]
        yield Vector(kind="redirect", by="location", target=target, reaches="127.0.0.1", expected=DENIED, status=status)
    for status, field_line in NOT_FOLLOWED:
        yield Vector(kind="no redirect", by="header", target=field_line, reaches="", expected="", status=status)
    for target in ALLOWED:
        yield Vector(kind="public neighbour", by="host", target=target, reaches="public", expected="")


def _by_address() -> Iterator[Vector]:
    for kind, table in (("alternate IPv4", ALTERNATE_IPV4), ("Unicode IPv4", UNICODE_IPV4)):
        for address, spellings in table.items():
            for target in spellings:
                yield Vector(kind=kind, by="host", target=target, reaches=address, expected=DENIED)
    for kind, addresses in (*IPV4, ("unconnectable", IPV4_UNCONNECTABLE)):
        for target in addresses:
            yield Vector(kind=kind, by="host", target=target, reaches=target, expected=DENIED)
    for kind, address, spellings in IPV6:
        for target in spellings:
            yield Vector(kind=kind, by="host", target=target, reaches=address, expected=DENIED)
    for kind, addresses in IPV6_AS_IT_STANDS:
        for target in addresses:
            yield Vector(kind=kind, by="host", target=target, reaches=target, expected=DENIED)
