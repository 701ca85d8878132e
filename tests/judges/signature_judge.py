"""What an endpoint that judges signatures makes of botocore's: its keys are `judge` and `judge`.

    signature_judge.py ENDPOINT_URL

Prints one line a check, `judged: N checks` at the end, and leaves with status 1 at the first check that fails.
"""

import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

CHECKS = 0


def check(name, holds, seen=None):
    global CHECKS
    if not holds:
        sys.exit(f"FAILED: {name}: {seen!r}")
    CHECKS += 1
    print(f"ok {name}")


def client(url, key="judge", secret="judge", region="us-east-1", token=None, **config):
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, proxies={}, **config),
    )


def refused(name, code, kinesis):
    try:
        seen = kinesis.list_streams()
    except ClientError as error:
        seen = error.response["Error"]
        check(name, seen["Code"] == code, seen)
        return seen["Message"]
    return check(name, False, seen)


def tampered(request, **_):
    # Behind the signature's back, as botocore sends it.
    request.headers["X-Amz-Target"] = "Kinesis_20131202.DescribeStream"


def main(url):
    client(url).create_stream(StreamName="signed", ShardCount=1)
    check("signed", client(url).list_streams()["StreamNames"] == ["signed"])
    check("any region", client(url, region="eu-central-1").list_streams()["StreamNames"] == ["signed"])
    check("with a session token", client(url, token="token").list_streams()["StreamNames"] == ["signed"])
    host = client(url.replace("127.0.0.1", "localhost"))
    check("by another host name", host.list_streams()["StreamNames"] == ["signed"])

    message = refused("wrong secret", "InvalidSignatureException", client(url, secret="other"))
    check("wrong secret, in words", message.startswith("The request signature we calculated does not match"), message)
    refused("another key id", "UnrecognizedClientException", client(url, key="other"))
    changed = client(url)
    changed.meta.events.register("before-send.kinesis.ListStreams", tampered)
    refused("another operation than signed", "InvalidSignatureException", changed)
    plain = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, proxies={})
    unsigned = boto3.client("kinesis", endpoint_url=url, region_name="us-east-1", config=plain)
    refused("not signed", "MissingAuthenticationTokenException", unsigned)
    print(f"judged: {CHECKS} checks")


if __name__ == "__main__":
    main(*sys.argv[1:])
