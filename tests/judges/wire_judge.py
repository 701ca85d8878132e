"""A verdict on how the local Kinesis endpoint speaks: CBOR, HTTP/2, TLS, and what it says to broken requests.

    wire_judge.py ENDPOINT_URL [AUTHORITY_PEM]

Encodes with cbor2, speaks with httpx and with bare sockets, packs with aws_kinesis_agg; knows nothing of how the
endpoint is made. Needs a stream `judged.wire` of one shard. Prints one line a check, `judged: N checks` at the end, and
leaves with status 1 at the first check that fails.
"""

import base64
import datetime
import json
import socket
import ssl
import sys
import urllib.parse

import aws_kinesis_agg.aggregator
import aws_kinesis_agg.deaggregator
import cbor2
import httpx

CHECKS = 0
STREAM = "judged.wire"
SHARD = "shardId-000000000000"
JSON = "application/x-amz-json-1.1"
CBOR = "application/x-amz-cbor-1.1"


def check(name, holds, seen=None):
    global CHECKS
    if not holds:
        sys.exit(f"FAILED: {name}: {seen!r}")
    CHECKS += 1
    print(f"ok {name}")


def headers(operation, content_type):
    return {
        "Content-Type": content_type,
        "X-Amz-Target": f"Kinesis_20131202.{operation}",
        "Authorization": "AWS4-HMAC-SHA256 Credential=judge",
    }


class Caller:
    """One connection in one encoding."""

    def __init__(self, url, content_type, **how):
        self.url, self.content_type = url, content_type
        self.http = httpx.Client(trust_env=False, **how)

    def raw(self, operation, body):
        answer = self.http.post(self.url, content=body, headers=headers(operation, self.content_type))
        check(f"{operation}: content type of the request", answer.headers["content-type"] == self.content_type, answer)
        return answer

    def decode(self, body):
        return (json.loads if self.content_type == JSON else decode_cbor)(body)

    def call(self, operation, **members):
        body = json.dumps(members).encode() if self.content_type == JSON else cbor2.dumps(members)
        answer = self.raw(operation, body)
        check(f"{operation}: status 200", answer.status_code == 200, answer.text)
        return self.decode(answer.content) if answer.content else None

    def refused(self, name, operation, body, exception):
        answer = self.raw(operation, body)
        said = self.decode(answer.content)
        check(f"{name}: status 400", answer.status_code == 400, answer)
        check(f"{name}: {exception}", said["__type"] == exception, said)
        return said.get("message")

    def iterator(self, kind="TRIM_HORIZON", **more):
        arguments = dict(StreamName=STREAM, ShardId=SHARD, ShardIteratorType=kind, **more)
        return self.call("GetShardIterator", **arguments)["ShardIterator"]

    def records(self, iterator):
        return self.call("GetRecords", ShardIterator=iterator)["Records"]


class Millis(int):
    """A timestamp as the Java SDK writes it: tag 1 and milliseconds."""


def decode_cbor(body):
    """With tag 1 left as milliseconds: as seconds, cbor2's reading, it would lie in the year 58864."""
    return cbor2.loads(untag(body))


def untag(body):
    # Tag 1 is the byte c1 before an integer of 64 bits, 1b; a record's data could hold that too, so only behind the
    # names of members that are timestamps.
    for name in (b"ApproximateArrivalTimestamp", b"StreamCreationTimestamp"):
        body = body.replace(name + b"\xc1\x1b", name + b"\x1b")
    return body


def indefinite(value):
    """As the Java SDK encodes: maps and lists of indefinite length; strings here in two pieces as well."""
    match value:
        case Millis():
            return b"\xc1" + cbor2.dumps(int(value))
        case dict():
            return b"\xbf" + b"".join(cbor2.dumps(k) + indefinite(v) for k, v in value.items()) + b"\xff"
        case list():
            return b"\x9f" + b"".join(map(indefinite, value)) + b"\xff"
        case str() if value.isascii():
            return b"\x7f" + cbor2.dumps(value[:1]) + cbor2.dumps(value[1:]) + b"\xff"
        case bytes():
            return b"\x5f" + cbor2.dumps(value[:1]) + cbor2.dumps(value[1:]) + b"\xff"
        case _:
            return cbor2.dumps(value)


def main(url, authority=None):
    trust = ssl.create_default_context(cafile=authority) if authority else True
    by_json = Caller(url, JSON, verify=trust)
    cbor(url, trust, by_json)
    protocols(url, trust)
    containers(by_json)
    broken_bodies(url, trust)
    if not authority:
        broken_requests(url)
    check("the endpoint is still there", STREAM in by_json.call("ListStreams")["StreamNames"])
    print(f"judged: {CHECKS} checks")


def cbor(url, trust, by_json):
    caller = Caller(url, CBOR, verify=trust)
    before = datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000
    data = bytes(range(256))
    put = caller.call("PutRecord", StreamName=STREAM, PartitionKey="ключ", Data=data)
    body = indefinite({"StreamName": STREAM, "Records": [{"PartitionKey": "two", "Data": data}] * 2})
    answer = caller.raw("PutRecords", body)
    many = decode_cbor(answer.content)
    check("cbor: indefinite lengths are taken", answer.status_code == 200 and many["FailedRecordCount"] == 0, many)
    check("cbor: one answer a record", len(many["Records"]) == 2, many)

    page = caller.call("GetRecords", ShardIterator=caller.iterator())
    records = page["Records"]
    numbers = [put["SequenceNumber"]] + [record["SequenceNumber"] for record in many["Records"]]
    check("cbor: numbers", [record["SequenceNumber"] for record in records] == numbers, records)
    check("cbor: data is a byte string", all(record["Data"] == data for record in records), records)
    check("cbor: keys", [record["PartitionKey"] for record in records] == ["ключ", "two", "two"], records)
    arrivals = [record["ApproximateArrivalTimestamp"] for record in records]
    check("cbor: arrival in milliseconds", all(before - 5000 < ms < before + 60000 for ms in arrivals), arrivals)
    check("cbor: lag", page["MillisBehindLatest"] == 0, page)

    raw = caller.http.post(url, content=cbor2.dumps({"ShardIterator": caller.iterator()}), headers=headers("GetRecords", CBOR))
    tagged = cbor2.dumps("ApproximateArrivalTimestamp") + b"\xc1\x1b"
    check("cbor: arrival is tag 1", raw.content.count(tagged) == 3, raw.content)

    # From the first stamp on all are found, from one after the last none: in each form of a time.
    last = max(arrivals)
    for name, time in [
        ("tag 1 and milliseconds", Millis(last)),
        ("milliseconds", last),
        ("tag 1 and seconds", cbor2.CBORTag(1, last / 1000)),
    ]:
        request = {"StreamName": STREAM, "ShardId": SHARD, "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": time}
        found = decode_cbor(caller.raw("GetShardIterator", indefinite(request)).content)
        seen = caller.records(found["ShardIterator"])
        check(f"cbor: {name}", len(seen) == sum(ms >= last for ms in arrivals), (seen, arrivals))

    same = by_json.records(by_json.iterator())
    check("cbor: JSON reads the same", [base64.b64decode(r["Data"]) for r in same] == [data] * 3, same)
    described = caller.call("DescribeStream", StreamName=STREAM)["StreamDescription"]
    by_text = by_json.call("DescribeStream", StreamName=STREAM)["StreamDescription"]
    check("cbor: creation", described.pop("StreamCreationTimestamp") == round(by_text.pop("StreamCreationTimestamp") * 1000))
    check("cbor: description as in JSON", described == by_text, (described, by_text))

    message = caller.refused("cbor: no stream", "DescribeStream", cbor2.dumps({"StreamName": "no"}), "ResourceNotFoundException")
    check("cbor: message", "Stream no under account" in message, message)
    caller.refused("cbor: unknown operation", "Nonsense", cbor2.dumps({}), "UnknownOperationException")
    text = cbor2.dumps({"StreamName": STREAM, "PartitionKey": "k", "Data": "text"})
    caller.refused("cbor: text for data", "PutRecord", text, "SerializationException")
    nested = b"\xa1\x67Novelty" + b"\x81" * 100_000
    caller.refused("cbor: deep", "ListStreams", nested, "SerializationException")
    promise = b"\xa2\x6aStreamName\x61s\x67Records\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"
    caller.refused("cbor: a list of 2^63", "PutRecords", promise, "SerializationException")
    body = cbor2.dumps({"StreamName": STREAM, "PartitionKey": "k", "Data": b"data"})
    for cut in range(len(body)):
        answer = caller.http.post(url, content=body[:cut], headers=headers("PutRecord", CBOR))
        if answer.status_code != 400 or cbor2.loads(answer.content)["__type"] != "SerializationException":
            check(f"cbor: cut at {cut}", False, answer)
    check("cbor: cut anywhere, it is refused", True)


def protocols(url, trust):
    one = Caller(url, JSON, verify=trust)
    two = Caller(url, JSON, verify=trust, http1=False, http2=True)
    seen = two.raw("ListStreams", b"{}").http_version, one.raw("ListStreams", b"{}").http_version
    check("HTTP/2 and HTTP/1.1 on one port", seen == ("HTTP/2", "HTTP/1.1"), seen)
    for operation, members in [
        ("DescribeStream", {"StreamName": STREAM}),
        ("ListShards", {"StreamName": STREAM}),
        ("ListStreams", {}),
    ]:
        check(f"{operation}: the same by both", one.call(operation, **members) == two.call(operation, **members))
    iterator = one.iterator()
    check("GetRecords: the same by both", one.records(iterator) == two.records(iterator))
    nothing = json.dumps({"StreamName": "no"}).encode()
    said = [caller.refused(f"refusal over {i + 1}", "DescribeStream", nothing, "ResourceNotFoundException") for i, caller in enumerate((one, two))]
    check("refusal: the same by both", said[0] == said[1], said)
    # As large as a call may be, through HTTP/2's windows: in and out again.
    big = bytes(1_000_000)
    put = two.call("PutRecord", StreamName=STREAM, PartitionKey="big", Data=base64.b64encode(big).decode())
    at = two.iterator("AT_SEQUENCE_NUMBER", StartingSequenceNumber=put["SequenceNumber"])
    check("a megabyte over HTTP/2", base64.b64decode(two.records(at)[0]["Data"]) == big)


def containers(caller):
    """Records of the Producer Library's format pass through as they are."""
    packer = aws_kinesis_agg.aggregator.RecordAggregator()
    for i in range(20):
        packer.add_user_record(f"key {i % 3}", f"record {i}".encode())
    key, hash_key, container = packer.clear_and_get().get_contents()
    check("container: magic", container[:4] == b"\xf3\x89\x9a\xc2", container)
    put = caller.call("PutRecord", StreamName=STREAM, PartitionKey=key, Data=base64.b64encode(container).decode())
    at = caller.iterator("AT_SEQUENCE_NUMBER", StartingSequenceNumber=put["SequenceNumber"])
    record = caller.records(at)[0]
    check("container: unchanged", base64.b64decode(record["Data"]) == container, record)
    event = {"kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": record["PartitionKey"], "data": record["Data"],
                         "sequenceNumber": record["SequenceNumber"],
                         "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"]}}
    for name in ("eventSource", "eventVersion", "eventID", "eventName", "invokeIdentityArn", "awsRegion", "eventSourceARN"):
        event[name] = "judge"
    opened = aws_kinesis_agg.deaggregator.deaggregate_records([event])
    data = [base64.b64decode(user["kinesis"]["data"]) for user in opened]
    check("container: opens", data == [f"record {i}".encode() for i in range(20)], data)


def broken_bodies(url, trust):
    caller = Caller(url, JSON, verify=trust)
    put = json.dumps({"StreamName": STREAM, "PartitionKey": "k", "Data": "AAAA"}).encode()
    for name, body in [
        ("nothing", b""),
        ("half", put[:20]),
        ("a list", b"[]"),
        ("deep", b'{"Novelty":' + b"[" * 100_000),
        ("not UTF-8", b'{"StreamName":"\xff"}'),
        ("behind the end", put + b"}"),
        ("NaN", b'{"StreamName":"s","ShardId":"0","ShardIteratorType":"AT_TIMESTAMP","Timestamp":NaN}'),
        ("twice the same member", b'{"StreamName":"a","StreamName":"b"}'),
    ]:
        caller.refused(f"body: {name}", "GetShardIterator" if name == "NaN" else "PutRecord", body, "SerializationException")
    key = json.dumps({"StreamName": STREAM, "PartitionKey": "k" * (1 << 20), "Data": "AAAA"}).encode()
    caller.refused("body: a key of 1 MiB", "PutRecord", key, "ValidationException")
    name = json.dumps({"StreamName": "s" * (1 << 20)}).encode()
    caller.refused("body: a name of 1 MiB", "DescribeStream", name, "ValidationException")
    many = b'{"StreamName":"s","Records":[' + b"{}," * 1_000_000 + b"{}]}"
    caller.refused("body: a million empty records", "PutRecords", many, "ValidationException")


def broken_requests(url):
    """By hand: what no client library would send."""
    where = urllib.parse.urlsplit(url)

    def send(text, then_close=False):
        with socket.create_connection((where.hostname, where.port), timeout=20) as stream:
            stream.sendall(text)
            if then_close:
                stream.shutdown(socket.SHUT_WR)
            said = b""
            while piece := stream.recv(65536):
                said += piece
                if b"\r\n\r\n" in said and not then_close:
                    break
            return said.split(b"\r\n")[0]

    head = b"POST / HTTP/1.1\r\nHost: judge\r\n"
    for name, value in headers("ListStreams", JSON).items():
        head += f"{name}: {value}\r\n".encode()
    for name, request in [
        ("no HTTP", b"hello\r\n\r\n"),
        ("a length that is no number", head + b"Content-Length: many\r\n\r\n{}"),
        ("two lengths", head + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        ("a chunk that is no number", head + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}"),
    ]:
        said = send(request)
        check(f"request: {name}: status 400", said.startswith(b"HTTP/1.1 400"), said)
    said = send(head + b"Content-Length: 100\r\n\r\n{}", then_close=True)
    check("request: half a body: status 400 or closed", said == b"" or said.startswith(b"HTTP/1.1 400"), said)
    said = send(head + b"Content-Length: 2\r\n\r\n{}trailing", then_close=True)
    check("request: a length too short: answered by it", said.startswith(b"HTTP/1.1 200"), said)
    said = send(head + b"Content-Length: 99999999999\r\n\r\n")
    check("request: too long: status 413", said.startswith(b"HTTP/1.1 413"), said)
    check("request: neither method nor target", send(b"GET / HTTP/1.1\r\nHost: judge\r\n\r\n").startswith(b"HTTP/1.1 403"))


if __name__ == "__main__":
    main(*sys.argv[1:])
