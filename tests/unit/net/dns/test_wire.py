"""DNS on the wire, against dnspython as the independent implementation, and against what no honest server sends."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.net.dns.wire import (
    MAX_CHAIN,
    MAX_RECORDS,
    RECORD_TYPES,
    DNSReply,
    ForeignReplyError,
    MalformedReplyError,
    Question,
    QuestionError,
    decode_dns_reply,
    encode_name,
    encode_query,
)

ID = 0x1234
NAME = "www.example.org"


def response(records: list[tuple[str, str, list[str]]], asked: Question, *, ttl: int = 60) -> dns.message.Message:
    query = dns.message.make_query(asked.name, asked.record_type, id=ID)
    made = dns.message.make_response(query, recursion_available=True)
    for owner, kind, data in records:
        made.answer.append(dns.rrset.from_text_list(owner, ttl, "IN", kind, data))
    return made


def read(records: list[tuple[str, str, list[str]]], kind: str, name: str = NAME) -> DNSReply:
    asked = Question(name, kind)
    return decode_dns_reply(response(records, asked).to_wire(max_size=65_535), asked, ID)


def test_a_query_is_what_dnspython_reads_back() -> None:
    message = dns.message.from_wire(encode_query(Question(NAME, "CAA"), ID))
    assert message.id == ID
    assert message.flags == dns.flags.RD
    assert message.question[0].name == dns.name.from_text(NAME)
    assert message.question[0].rdtype == dns.rdatatype.CAA
    assert message.question[0].rdclass == dns.rdataclass.IN
    assert not message.answer + message.authority + message.additional


@pytest.mark.parametrize("kind", RECORD_TYPES)
def test_the_numbers_of_record_types_are_those_of_the_registry(kind: str) -> None:
    assert RECORD_TYPES[kind] == dns.rdatatype.from_text(kind)


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("A", ["192.0.2.1", "192.0.2.2"], ["192.0.2.1", "192.0.2.2"]),
        ("AAAA", ["2001:db8::1"], ["2001:db8::1"]),
        ("CNAME", ["Target.example.net."], ["Target.example.net"]),
        ("MX", ["10 mail.example.org."], ["10 mail.example.org"]),
        ("NS", ["ns1.example.org.", "ns2.example.org."], ["ns1.example.org", "ns2.example.org"]),
        ("PTR", ["host.example.org."], ["host.example.org"]),
        (
            "SOA",
            ["ns1.example.org. host\\.master.example.org. 2026010203 7200 3600 1209600 300"],
            ["ns1.example.org host\\.master.example.org 2026010203 7200 3600 1209600 300"],
        ),
        ("SRV", ["1 2 5060 sip.example.org."], ["1 2 5060 sip.example.org"]),
        ("TXT", ['"v=spf1 include:example.net" " -all"'], ["v=spf1 include:example.net -all"]),
        ("TXT", ['"gr\\195\\188n"'], ["grün"]),
        ("TXT", ['"\\255"'], ["\\xff"]),
        ("TXT", ['""'], [""]),
        ("CAA", ['0 issue "letsencrypt.org"'], ['0 issue "letsencrypt.org"']),
        ("MX", ["0 ."], ["0 ."]),
    ],
)
def test_records_come_out_as_people_compare_them(kind: str, data: list[str], expected: list[str]) -> None:
    reply = read([(NAME + ".", kind, data)], kind)
    assert sorted(reply.records) == sorted(expected)
    assert (reply.rcode, reply.ttl, reply.flags, reply.truncated) == ("NOERROR", 60, ("qr", "rd", "ra"), False)


def test_a_cname_chain_is_followed_and_the_smallest_ttl_counts() -> None:
    asked = Question("a.example.org", "A")
    made = response([("c.example.net.", "A", ["192.0.2.7"])], asked, ttl=300)
    made.answer.insert(0, dns.rrset.from_text("B.example.org.", 20, "IN", "CNAME", "c.example.net."))
    made.answer.insert(0, dns.rrset.from_text("a.example.org.", 90, "IN", "CNAME", "b.EXAMPLE.org."))
    reply = decode_dns_reply(made.to_wire(), asked, ID)
    assert (reply.records, reply.ttl) == (("192.0.2.7",), 20)


def test_a_chain_that_leads_nowhere_has_no_records() -> None:
    reply = read([(NAME + ".", "CNAME", ["gone.example.net."])], "A")
    assert (reply.rcode, reply.records, reply.ttl) == ("NOERROR", (), None)


def test_records_of_other_names_are_not_taken() -> None:
    assert read([("other.example.org.", "A", ["192.0.2.1"])], "A").records == ()


@pytest.mark.parametrize("links", [MAX_CHAIN, MAX_CHAIN + 1])
def test_a_chain_has_a_longest_length(links: int) -> None:
    names = [NAME, *(f"n{number}.example.org" for number in range(links))]
    records = [(f"{one}.", "CNAME", [f"{other}."]) for one, other in pairwise(names)]
    records.append((f"{names[-1]}.", "A", ["192.0.2.1"]))
    if links > MAX_CHAIN:
        with pytest.raises(MalformedReplyError, match="chain"):
            read(records, "A")
    else:
        assert read(records, "A").records == ("192.0.2.1",)


def test_a_cname_loop_is_refused() -> None:
    with pytest.raises(MalformedReplyError, match="loop"):
        read([(NAME + ".", "CNAME", ["b.example.org."]), ("b.example.org.", "CNAME", [NAME + "."])], "A")


@pytest.mark.parametrize(
    ("rcode", "name"),
    [("NXDOMAIN", "NXDOMAIN"), ("SERVFAIL", "SERVFAIL"), ("REFUSED", "REFUSED"), ("YXDOMAIN", "RCODE6")],
)
def test_the_rcode_is_named(rcode: str, name: str) -> None:
    asked = Question(NAME, "A")
    made = response([], asked)
    made.set_rcode(dns.rcode.from_text(rcode))
    assert decode_dns_reply(made.to_wire(), asked, ID).rcode == name


def test_an_error_without_a_question_is_an_answer() -> None:
    wire = struct.pack("!HHHHHH", ID, 0x8180 | 1, 0, 0, 0, 0)
    assert decode_dns_reply(wire, Question(NAME, "A"), ID).rcode == "FORMERR"


def test_a_truncated_answer_says_so_and_its_records_are_not_read() -> None:
    asked = Question(NAME, "A")
    made = response([(NAME + ".", "A", ["192.0.2.1"])], asked)
    made.flags |= dns.flags.TC
    reply = decode_dns_reply(made.to_wire()[:-3], asked, ID)
    assert (reply.truncated, reply.records) == (True, ())


def honest() -> bytes:
    return response([(NAME + ".", "A", ["192.0.2.1"])], Question(NAME, "A")).to_wire()


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(lambda wire: b"\0\1" + wire[2:], id="another id"),
        pytest.param(lambda wire: wire[:2] + bytes((wire[2] & 0x7F,)) + wire[3:], id="a question, not an answer"),
        pytest.param(lambda wire: wire[:2] + bytes((wire[2] | 0x20,)) + wire[3:], id="another opcode"),
        pytest.param(lambda wire: wire.replace(b"\3www", b"\3wwx", 1), id="another name"),
        pytest.param(lambda wire: wire.replace(b"\0\0\1\0\1", b"\0\0\x1c\0\1", 1), id="another type"),
        pytest.param(lambda wire: wire.replace(b"\0\0\1\0\1", b"\0\0\1\0\3", 1), id="another class"),
        pytest.param(lambda wire: wire[:4] + b"\0\0" + wire[6:], id="no question"),
        pytest.param(lambda wire: wire[:4] + b"\0\2" + wire[6:], id="two questions"),
        pytest.param(lambda wire: wire[:11], id="half a header"),
        pytest.param(lambda _: b"", id="nothing"),
    ],
)
def test_what_does_not_answer_the_question_is_foreign(lie: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ForeignReplyError):
        decode_dns_reply(lie(honest()), Question(NAME, "A"), ID)


def test_the_question_is_compared_without_regard_to_case() -> None:
    wire = honest().replace(b"\3www\7example", b"\3WwW\7eXample")
    assert decode_dns_reply(wire, Question(NAME, "A"), ID).records == ("192.0.2.1",)


def crafted(answers: bytes, *, count: int = 1, kind: str = "A") -> bytes:
    """A reply whose answer section is *answers*; the question's name is at offset 12."""
    question = encode_name(NAME) + struct.pack("!HH", RECORD_TYPES[kind], 1)
    return struct.pack("!HHHHHH", ID, 0x8180, 1, count, 0, 0) + question + answers


def record(owner: bytes, kind: str, data: bytes, *, size: int | None = None) -> bytes:
    return owner + struct.pack("!HHIH", RECORD_TYPES[kind], 1, 60, len(data) if size is None else size) + data


POINTER = b"\xc0\x0c"
FIRST_ANSWER = len(crafted(b""))


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        pytest.param("A", record(POINTER, "A", b"\x7f\0\0\1", size=5), id="a record that leaves the message"),
        pytest.param("A", record(POINTER, "A", b"\x7f\0\0"), id="an address of three octets"),
        pytest.param("AAAA", record(POINTER, "AAAA", b"\x7f\0\0\1"), id="an IPv6 address of four octets"),
        pytest.param("A", POINTER + b"\0", id="a record that ends in its header"),
        pytest.param("A", b"", id="no record where one is announced"),
        pytest.param(
            "A", record(struct.pack("!H", 0xC000 | FIRST_ANSWER), "A", b"\x7f\0\0\1"), id="a pointer to itself"
        ),
        pytest.param("A", record(b"\xff\xff", "A", b"\x7f\0\0\1"), id="a pointer beyond the end"),
        pytest.param("A", record(b"\x41\0", "A", b"\x7f\0\0\1"), id="an unknown kind of label"),
        pytest.param("A", record(b"\1a" * 140 + b"\0", "A", b"\x7f\0\0\1"), id="a name of 281 octets"),
        pytest.param("A", record(b"\x3f" + b"a" * 20, "A", b""), id="a label that leaves the message"),
        pytest.param("CNAME", record(POINTER, "CNAME", POINTER + b"x"), id="a target that does not fill its record"),
        pytest.param("CNAME", record(POINTER, "CNAME", b""), id="a target of no octets"),
        pytest.param("MX", record(POINTER, "MX", b"\0"), id="half a preference"),
        pytest.param("TXT", record(POINTER, "TXT", b"\5abc"), id="a string that leaves its record"),
        pytest.param("SOA", record(POINTER, "SOA", POINTER + POINTER + b"\0" * 19), id="an SOA that is too short"),
        pytest.param("SRV", record(POINTER, "SRV", b"\0" * 6), id="an SRV without target"),
        pytest.param("CAA", record(POINTER, "CAA", b"\0\x09iss"), id="a tag that leaves its record"),
    ],
)
def test_a_broken_answer_is_malformed(kind: str, answers: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        decode_dns_reply(crafted(answers, kind=kind), Question(NAME, kind), ID)


def test_pointers_may_not_add_up_to_a_longer_name() -> None:
    """Each record's name is one label and a pointer to the record before: 300 labels in the end."""
    answers, at = b"", FIRST_ANSWER
    previous = 12
    for _ in range(300):
        one = record(b"\1a" + struct.pack("!H", 0xC000 | previous), "A", b"\x7f\0\0\1")
        answers += one
        previous, at = at, at + len(one)
    with pytest.raises(MalformedReplyError, match="255"):
        decode_dns_reply(crafted(answers, count=300), Question(NAME, "A"), ID)


def test_more_records_than_the_bound_are_refused() -> None:
    one = record(POINTER, "A", b"\x7f\0\0\1")
    asked = Question(NAME, "A")
    assert len(decode_dns_reply(crafted(one * MAX_RECORDS, count=MAX_RECORDS), asked, ID).records) == MAX_RECORDS
    with pytest.raises(MalformedReplyError, match="records"):
        decode_dns_reply(crafted(one * (MAX_RECORDS + 1), count=MAX_RECORDS + 1), asked, ID)


def test_a_long_chain_of_pointers_is_no_deep_recursion() -> None:
    """5,000 pointers, each to the one before it, hidden in the data of a record whose type nobody asks about."""
    at = FIRST_ANSWER + len(record(POINTER, "A", b""))
    chain = POINTER + b"".join(struct.pack("!H", 0xC000 | at + 2 * step) for step in range(4999))
    hidden = POINTER + struct.pack("!HHIH", 99, 1, 60, len(chain)) + chain
    owner = struct.pack("!H", 0xC000 | at + 2 * 4999)
    wire = crafted(hidden + record(owner, "A", b"\x7f\0\0\1"), count=2)
    assert decode_dns_reply(wire, Question(NAME, "A"), ID).records == ("127.0.0.1",)


def test_the_dearest_answer_is_read_in_milliseconds() -> None:
    """Names of 127 labels behind pointers, as many as fit: what costs a general library seconds. The bound is generous."""
    label_name = b"\1a" * 127 + b"\0"
    question = label_name + struct.pack("!HH", RECORD_TYPES["MX"], 1)
    one = record(POINTER, "MX", b"\0\1" + POINTER)
    wire = struct.pack("!HHHHHH", ID, 0x8180, 1, MAX_RECORDS, 0, 0) + question + one * MAX_RECORDS
    began = time.process_time()
    reply = decode_dns_reply(wire, Question(".".join("a" * 127), "MX"), ID)
    assert time.process_time() - began < 0.1
    assert len(reply.records) == MAX_RECORDS


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_refused(noise: bytes) -> None:
    for wire in (noise, crafted(noise, count=3), honest() + noise):
        try:
            decode_dns_reply(wire, Question(NAME, "A"), ID)
        except (ForeignReplyError, MalformedReplyError):
            continue


@given(st.data())
def test_one_changed_octet_never_escapes_the_decoder(data: st.DataObject) -> None:
    wire = bytearray(
        response([(NAME + ".", "MX", ["10 a.example.org.", "20 b.example.org."])], Question(NAME, "MX")).to_wire()
    )
    wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    try:
        reply = decode_dns_reply(bytes(wire), Question(NAME, "MX"), ID)
    except (ForeignReplyError, MalformedReplyError):
        return
    assert isinstance(reply, DNSReply)


labels = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-_", min_size=1, max_size=20)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)
octets = st.binary(min_size=1, max_size=20)


@given(name=names, target=st.lists(octets, min_size=1, max_size=8))
def test_names_are_written_as_dnspython_writes_them(name: str, target: list[bytes]) -> None:
    asked = Question(name, "CNAME")
    made = response([], asked)
    owner = dns.name.from_text(name)
    other = dns.name.Name([*target, b""])
    made.answer.append(dns.rrset.from_rdata(owner, 60, dns.rdata.from_text("IN", "CNAME", other.to_text())))
    assert decode_dns_reply(made.to_wire(), asked, ID).records == (other.to_text(omit_final_dot=True),)


@given(
    four=st.lists(st.ip_addresses(v=4), min_size=1, max_size=20, unique=True),
    six=st.lists(st.ip_addresses(v=6), min_size=1, max_size=20, unique=True),
)
def test_addresses_keep_their_order(four: list[IPv4Address], six: list[IPv6Address]) -> None:
    for kind, addresses in (("A", four), ("AAAA", six)):
        packed = b"".join(record(POINTER, kind, address.packed) for address in addresses)
        reply = decode_dns_reply(crafted(packed, count=len(addresses), kind=kind), Question(NAME, kind), ID)
        assert reply.records == tuple(map(str, addresses))


@pytest.mark.parametrize("name", ["a..b", "a" * 64, ".".join(["a" * 60] * 5), "grün", ".a"])
def test_a_name_that_does_not_fit_the_wire_is_refused(name: str) -> None:
    with pytest.raises(QuestionError):
        encode_name(name)


def test_a_negative_ttl_is_zero() -> None:
    wire = crafted(POINTER + struct.pack("!HHIH", 1, 1, 1 << 31, 4) + b"\x7f\0\0\1")
    assert decode_dns_reply(wire, Question(NAME, "A"), ID).ttl == 0
