import json

from click.testing import CliRunner

from proxy.cli.schema import command
from proxy.settings.schema import json_schema


def test_the_schema_is_printed() -> None:
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 0
    assert json.loads(done.output) == json_schema()
