from proxy.settings.nearest import nearest


def test_a_misspelt_word_leads_to_the_right_one() -> None:
    assert nearest("round-robin", ("round_robin", "ip_hash")) == "round_robin"
    assert nearest("ROUTES ", ("routes", "hosts")) == "routes"
    assert nearest("upstrem", ("upstream", "proxy")) == "upstream"


def test_a_strange_word_leads_nowhere() -> None:
    assert nearest("zebra", ("routes", "hosts")) == ""
    assert nearest("", ("routes",)) == ""
    assert nearest("x" * 100_000, ("routes",)) == ""
