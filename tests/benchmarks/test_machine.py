import platform

from benchmarks import machine


def test_the_name_of_the_processor() -> None:
    text = "processor\t: 0\nvendor_id\t: X\nmodel name\t: EPYC: the one\n\nmodel name\t: other\n"
    assert machine.cpu_model(text) == "EPYC: the one"


def test_an_architecture_where_no_name_is_told() -> None:
    assert machine.cpu_model("processor\t: 0\nBogoMIPS\t: 50.0\n") == platform.machine()
