from proxy.settings.problem import Problem, SettingsError, dotted


def test_a_problem_reads_like_a_compiler() -> None:
    problem = Problem("proxy.yaml", 12, 9, "sites[0].routes", "unknown key", "    x\n    ^")
    assert str(problem) == "proxy.yaml:12:9: sites[0].routes: unknown key\n    x\n    ^"


def test_a_problem_with_the_file_itself() -> None:
    assert str(Problem("proxy.yaml", 0, 0, "", "cannot be read")) == "proxy.yaml: cannot be read"


def test_the_report_counts() -> None:
    one = Problem("p", 1, 1, "", "a")
    assert str(SettingsError((one,))) == "p:1:1: a\n1 mistake in the configuration"
    assert str(SettingsError((one, one))).endswith("2 mistakes in the configuration")


def test_paths() -> None:
    assert dotted(("sites", 0, "routes", 12, "proxy")) == "sites[0].routes[12].proxy"
    assert dotted(()) == ""
