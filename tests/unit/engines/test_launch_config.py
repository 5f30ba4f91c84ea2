"""A launcher's template and a server's settings: what cannot work is refused before anything starts."""

import pytest

from supertiny.core.errors import UserError
from supertiny.engines.servers.launch import LaunchConfig, ServerConfig

SERVER = {
    "url": None, "key_variable": None, "tensor_parallel": 2, "data_parallel": 3, "context": 64, "memory_share": 0.9,
    "host": "h", "port": 0, "start_minutes": 1.0, "retries": 0, "timeout_s": 1.0, "extra": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("ssh gpu1", r"template: expected \{command\}"),
        ("ssh {host} {command}", r"template: there is no \{host\} \(there are: command, folder, gpus\)"),
        ('ssh "{command}', "template: .*cannot be read as a command line: No closing quotation"),
        ("{command} }", "template: .*cannot be read as a command line"),
    ],
)
def test_a_template_that_cannot_start_a_program_is_refused(template, message):
    with pytest.raises(UserError, match=message):
        LaunchConfig(template=template, programs={})


def test_only_the_bare_command_runs_here():
    assert LaunchConfig(template=" {command} ", programs={}).here
    assert not LaunchConfig(template="srun {command}", programs={}).here


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensor_parallel": 0}, "tensor_parallel: expected more than 0"),
        ({"memory_share": 1.5}, "memory_share: expected above 0 to 1"),
        ({"port": 70000}, "port: expected 0 to 65535"),
        ({"retries": -1}, "retries: expected 0 or more"),
        ({"url": "http://gpu1:30000"}, "url: expected one that ends in /v1"),
        ({"key_variable": "MY_KEY"}, "key_variable: only a server at a url has an API key"),
    ],
)
def test_a_server_that_cannot_be_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        ServerConfig(**{**SERVER, **change})


def test_a_server_takes_the_gpus_of_all_copies():
    assert ServerConfig(**SERVER).gpus == 6
