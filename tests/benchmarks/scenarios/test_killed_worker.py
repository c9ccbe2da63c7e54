from benchmarks.scenarios.killed_worker import established

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1
   1: 0100007F:20FB 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 101 1
   2: 0100007F:20FB 0100007F:9C42 06 00000000:00000000 00:00000000 00000000     0        0 102 1
   3: 0100007F:9C40 0100007F:20FB 01 00000000:00000000 00:00000000 00000000     0        0 103 1
"""


def test_only_established_connections_of_the_port_itself_count() -> None:
    assert established(TABLE, 0x20FB) == {"101"}
