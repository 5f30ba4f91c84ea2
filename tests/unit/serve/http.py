"""One request over HTTP, without a client library between."""

import json
import urllib.error
import urllib.request


def post(url, body, headers=None):
    """(status, body, headers) of a POST; bytes go as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"} | (headers or {}))
    return fetched(asked)


def get(url):
    return fetched(urllib.request.Request(url))


def fetched(asked):
    try:
        with urllib.request.urlopen(asked, timeout=60) as reply:
            return reply.status, reply.read(), dict(reply.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def message(body):
    """What an error says."""
    return json.loads(body)["error"]["message"]
