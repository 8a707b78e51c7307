"""What the tests hold to be true of special-purpose addresses, typed from the registries a second time.

Blocks are written as first and last address with the registries' "Globally Reachable" (N/A, and rows without flags, as
no), not as prefixes, and nothing here comes from the worker: a slip in one copy shows as a difference between the two.
"""

from __future__ import annotations

REGISTRY_IPV4 = """
0.0.0.0         0.255.255.255   no
0.0.0.0         0.0.0.0         no
10.0.0.0        10.255.255.255  no
100.64.0.0      100.127.255.255 no
127.0.0.0       127.255.255.255 no
169.254.0.0     169.254.255.255 no
172.16.0.0      172.31.255.255  no
192.0.0.0       192.0.0.255     no
192.0.0.0       192.0.0.7       no
192.0.0.8       192.0.0.8       no
192.0.0.9       192.0.0.9       yes
192.0.0.10      192.0.0.10      yes
192.0.0.170     192.0.0.170     no
192.0.0.171     192.0.0.171     no
192.0.2.0       192.0.2.255     no
192.31.196.0    192.31.196.255  yes
192.52.193.0    192.52.193.255  yes
192.88.99.0     192.88.99.255   no
192.88.99.2     192.88.99.2     no
192.168.0.0     192.168.255.255 no
192.175.48.0    192.175.48.255  yes
198.18.0.0      198.19.255.255  no
198.51.100.0    198.51.100.255  no
203.0.113.0     203.0.113.255   no
240.0.0.0       255.255.255.255 no
255.255.255.255 255.255.255.255 no
"""

ADDED_IPV4 = """
168.63.129.16   168.63.129.16   no
224.0.0.0       239.255.255.255 no
"""

REGISTRY_IPV6 = """
::1             ::1                                     no
::              ::                                      no
::ffff:0.0.0.0  ::ffff:255.255.255.255                  no
64:ff9b::       64:ff9b::255.255.255.255                yes
64:ff9b:1::     64:ff9b:1:ffff:ffff:ffff:ffff:ffff      no
100::           100::ffff:ffff:ffff:ffff                no
100:0:0:1::     100:0:0:1:ffff:ffff:ffff:ffff           no
2001::          2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff  no
2001::          2001:0:ffff:ffff:ffff:ffff:ffff:ffff    no
2001:1::1       2001:1::1                               yes
2001:1::2       2001:1::2                               yes
2001:1::3       2001:1::3                               yes
2001:2::        2001:2:0:ffff:ffff:ffff:ffff:ffff       no
2001:3::        2001:3:ffff:ffff:ffff:ffff:ffff:ffff    yes
2001:4:112::    2001:4:112:ffff:ffff:ffff:ffff:ffff     yes
2001:10::       2001:1f:ffff:ffff:ffff:ffff:ffff:ffff   no
2001:20::       2001:2f:ffff:ffff:ffff:ffff:ffff:ffff   yes
2001:30::       2001:3f:ffff:ffff:ffff:ffff:ffff:ffff   yes
2001:db8::      2001:db8:ffff:ffff:ffff:ffff:ffff:ffff  no
2002::          2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff no
2620:4f:8000::  2620:4f:8000:ffff:ffff:ffff:ffff:ffff   yes
3fff::          3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff  no
5f00::          5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff no
fc00::          fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff no
fe80::          febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff no
"""

ADDED_IPV6 = """
::              ::255.255.255.255                       no
::ffff:0:0.0.0.0 ::ffff:0:255.255.255.255               no
fec0::          feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff no
ff00::          ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff no
"""
