import os

from benchmarks import processes
from benchmarks.processes import MICROSECONDS_PER_TICK, ProcessStat, Usage

STAT = (
    "4242 (tmux: (srv) 1) S 17 4242 4242 0 -1 4194624 900 30 0 0 11 22 3 4 20 0 1 0 5177 "
    "12345678 2222 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0"
)


def test_a_name_with_spaces_and_parentheses_shifts_no_field() -> None:
    stat = processes.parse_stat(STAT)
    assert stat == ProcessStat(pid=4242, parent=17, ticks=11 + 22 + 3 + 4, minor_faults=930)


def test_descendants_reach_grandchildren_and_leave_strangers_out() -> None:
    family = {2: 1, 3: 2, 4: 3, 5: 2, 9: 8, 1: 0}
    stats = {pid: ProcessStat(pid, parent, 0, 0) for pid, parent in family.items()}
    assert sorted(processes.descendants(2, stats)) == [2, 3, 4, 5]


def test_usage_adds_up_and_is_told_since_a_reading() -> None:
    before = processes.total([ProcessStat(1, 0, 10, 5), ProcessStat(2, 1, 5, 1)])
    after = processes.total([ProcessStat(1, 0, 12, 5), ProcessStat(2, 1, 9, 4)])
    assert after.since(before) == Usage(6 * MICROSECONDS_PER_TICK, 3)


def test_memory_is_read_in_kilobytes() -> None:
    assert processes.parse_pss("Rss:  900 kB\nPss:     517 kB\nPss_Anon: 4 kB\n") == 517
    assert processes.parse_rss("Name:\tx\nVmPeak:\t 9 kB\nVmRSS:\t  2048 kB\n") == 2048


def test_memory_of_a_process_that_ended_is_nothing() -> None:
    assert processes.parse_pss("") == 0
    assert processes.parse_rss("Name:\tzombie\nState:\tZ\n") == 0


def test_this_very_process_is_found_with_its_time_and_memory() -> None:
    assert os.getpid() in processes.tree(os.getppid())
    used = processes.usage(os.getpid())
    assert used.cpu_us > 0
    assert used.minor_faults > 0
    assert processes.pss_kb([os.getpid()]) > 1000
    assert processes.rss_kb(os.getpid()) > 1000


def test_a_process_that_does_not_run_has_no_tree() -> None:
    nobody = 2**22 + 1  # above the kernel's highest pid
    assert processes.tree(nobody) == []
    assert processes.read_one(nobody) is None
    assert processes.pss_kb([nobody]) == 0
