"""`pyproxy schema`."""

import click

from proxy.settings.schema import schema_text


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of the configuration, for editors.

    The first line `# yaml-language-server: $schema=proxy.schema.json` of a configuration makes
    editors complete and check it.
    """
    click.echo(schema_text(), nl=False)
