"""What the runner of the documentation has to notice."""

import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import links
import run


def play(text, before=lambda clone: None):
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        clone.mkdir()
        (Path(folder) / "home").mkdir()
        before(clone)
        return run.play("page.md", text, folder)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def fenced(info, *lines):
    return "\n".join([f"```{info}", *lines, "```", ""])


class Runner(unittest.TestCase):
    def wrong(self, text, *parts):
        with self.assertRaises(run.Wrong) as caught:
            play(text)
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_what_is_as_shown_passes(self):
        self.assertEqual(play(fenced("console", "$ echo a; echo b", "a", "b", "$ X=1", "$ echo $X", "1")), 3)
        self.assertEqual(play(fenced("sh", "X=1", 'test "$X" = 1')), 2)
        self.assertEqual(play("# words\n\nand no commands\n" + fenced("yaml", "a: 1")), 0)

    def test_other_output_is_told_with_page_and_line(self):
        self.wrong("# a page\n\n" + fenced("console", "$ echo a", "a", "$ echo c", "b"), "page.md:6", "echo c", "c\n", "line 1")

    def test_output_that_is_missing_or_too_much_is_wrong(self):
        self.wrong(fenced("console", "$ echo a", "a", "b"), "line 2 of what is shown: b")
        self.wrong(fenced("console", "$ echo a; echo b", "a"), "more came than is shown")
        self.wrong(fenced("console", "$ true", "a"), "line 1")

    def test_output_of_which_nothing_is_shown_is_wrong(self):
        self.wrong(fenced("console", "$ echo a"), "more came than is shown")

    def test_a_failure_that_is_not_shown_is_wrong(self):
        self.wrong(fenced("console", "$ false"), "ends with 1")
        self.wrong(fenced("sh", "exit_code() { return 3; }", "exit_code"), "ends with 3")
        self.wrong(fenced("sh", "cat missing-file"), "ends with 1", "missing-file")
        self.assertEqual(play(fenced("console", "$ cat missing-file", "cat: missing-file: No such file or directory")), 1)

    def test_a_failure_in_the_middle_of_a_block_is_wrong(self):
        self.wrong("# a\n\n" + fenced("sh", "true", "false", "true"), "page.md:5: $ false", "ends with 1")
        self.wrong(fenced("sh", "(exit 4); true"), "ends with 4")
        self.wrong(fenced("sh", "cat missing-file >/dev/null 2>&1 && true", "true"), "ends with 1")
        self.wrong(fenced("sh", "for each in 1 2; do", "    (exit 5)", "    true", "done", "true"), "ends with 5")
        self.wrong("<!-- set up\nfalse\ntrue\n-->\n", "page.md:2: $ false")

    def test_what_may_fail_in_a_block(self):
        text = fenced("sh", "# a comment", "", "false || true", "if false; then", "    false", "fi", "until true; do false; done",
                      "given() {", "    cat <<'END'", "done", "END", "}", 'test "$(given)" = done', "python3 -c '", "print(1)", "'")
        self.assertEqual(play(text), 6)
        # What a page does afterwards is not held to it.
        self.assertEqual(play(fenced("sh", "true") + fenced("console", "$ false; echo a", "a")), 2)

    def test_an_ellipsis_is_anything_in_a_line_or_any_lines(self):
        play(fenced("console", "$ echo one two three", "one … three", "$ seq 9", "1", "…", "9", "$ echo", "…"))
        self.wrong(fenced("console", "$ printf 'one\\ntwo\\n'", "one…two"), "line 1")
        self.wrong(fenced("console", "$ seq 9", "1", "…", "10"), "line 3")

    def test_signs_are_not_patterns(self):
        self.wrong(fenced("console", "$ echo abc", "a.c"), "a.c")

    def test_a_command_of_several_lines(self):
        play(fenced("console", "$ echo a \\", "    b", "a b", "$ cat <<'END'", "c", "END", "c", "$ echo 'd", "e'", "d", "e"))

    def test_the_exit_code_of_the_command_before_is_known(self):
        play(fenced("console", "$ echo a; (exit 6)", "a", "$ echo $?", "6"))

    def test_a_command_does_not_eat_the_next_one(self):
        play(fenced("console", "$ cat", "$ echo a", "a"))

    def test_files_are_written_where_the_page_has_gone(self):
        file = "Write `deep/a.yaml`:\n\n" + fenced("yaml deep/a.yaml", "a: 1")
        play(fenced("sh", "mkdir x", "cd x") + file + fenced("console", "$ cat deep/a.yaml", "a: 1"))
        self.wrong("`../a.yaml`\n" + fenced("yaml ../a.yaml", "a: 1"), "outside")
        self.wrong("`/tmp/a.yaml`\n" + fenced("yaml /tmp/a.yaml", "a: 1"), "outside")

        play("Write `a.yaml`:\n\n<!-- file: a.yaml -->\n" + fenced("yaml", "a: 1") + fenced("console", "$ cat a.yaml", "a: 1"))

    def test_a_file_that_the_reader_is_not_told_of_is_wrong(self):
        self.wrong("Write it:\n\n" + fenced("yaml a.yaml", "a: 1"), "page.md:3", "`a.yaml`")
        self.wrong("Write `a.yaml`:\n\nThat is:\n\n" + fenced("yaml a.yaml", "a: 1"), "`a.yaml`")

    def test_marked_blocks_are_not_executed(self):
        self.assertEqual(play("<!-- not executed: no cluster -->\n" + fenced("sh", "false")), 0)
        self.assertEqual(play("<!-- nothing of this page is executed: no cluster -->\n\n# a\n" + fenced("sh", "false")), 0)
        self.assertEqual(run.blocks("page.md", "<!-- not executed: why -->\n" + fenced("sh", "x"))[0].mark, "why")
        self.wrong("<!-- not executed: no cluster -->\n" + fenced("sh", "false") + fenced("sh", "false"), "page.md:6")
        self.assertEqual(run.blocks("page.md", "<!-- needs: true -->\n" + fenced("sh", "x"))[0].mark, None)
        self.assertIn("no such-a-program", run.blocks("page.md", "<!-- needs: such-a-program -->\n" + fenced("sh", "x"))[0].mark)
        self.assertEqual(play("<!-- needs: true -->\n" + fenced("sh", "true") + "<!-- needs: such-a-program -->\n" + fenced("sh", "false")), 1)
        self.wrong("<!-- not executed: no cluster -->\nwords\n" + fenced("sh", "false"), "page.md:4")
        self.wrong("`a`\n<!-- not executed: no cluster -->\n" + fenced("yaml a", "a: 1"), "only commands")

    def test_what_a_page_presupposes_is_set_up_unseen(self):
        play("<!-- set up\nX=1\n-->\n" + fenced("console", "$ echo $X", "1"))
        self.wrong("<!-- set up\nfalse\n-->\n", "page.md:2", "ends with 1")

    def test_commands_in_other_blocks_are_wrong(self):
        for kind in ("", "text"):
            for line in ("$ echo a", "exequatur serve -c exequatur.yaml", "kubectl apply -f a.yaml"):
                self.wrong(fenced(kind, line), "page.md:1", "console")
        self.wrong(fenced("console", "echo a"), "begins with")
        self.wrong(fenced("sh a.sh", "echo a"), "not a file")

    def test_a_kind_that_is_not_known_is_wrong(self):
        for kind in ("zsh", "Console", "sh-session", "yml", "{code-block} sh"):
            self.wrong(fenced(kind, "true"), "page.md:1", "no kind of block")
        for kind in ("", "text", "yaml", "mermaid"):
            self.assertEqual(play(fenced(kind, "a: 1")), 0)

    def test_commands_that_no_block_holds_are_wrong(self):
        self.wrong("- ```sh\n  true\n  ```\n", "page.md:1", "beginning of its line")
        self.wrong("1. a\n\n> ```sh\n> true\n> ```\n", "page.md:3", "beginning of its line")
        self.wrong("\t```sh\n\ttrue\n\t```\n", "page.md:1", "beginning of its line")
        self.wrong("Do it:\n\n    $ true\n", "page.md:3", "console")
        play("It costs $ 5, `$ true` and\n```text\na\n```\n")

    def test_a_block_without_an_end_is_wrong(self):
        self.wrong("```sh\ntrue\n", "no end")
        self.wrong("```sh\ntrue\n````\n" + fenced("sh", "true"), "page.md:3", "does not end with")
        self.wrong("```sh\ntrue\n" + fenced("sh", "true"), "page.md:3", "does not end with")

    def test_a_shell_that_ends_is_told(self):
        self.wrong(fenced("sh", "exit 0"), "the shell ended")

    def test_what_does_not_end_is_told(self):
        patience, run.PATIENCE = run.PATIENCE, 0.2
        try:
            self.wrong(fenced("sh", "tail -f /dev/null"), "no end after")
        finally:
            run.PATIENCE = patience

    def test_what_is_in_the_background_is_stopped(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "clone").mkdir()
            (Path(folder) / "home").mkdir()
            run.play("page.md", fenced("sh", "python3 -c 'import signal; signal.pause()' & echo $! >pid"), folder)
            pid = (Path(folder) / "clone/pid").read_text().strip()
            # It was sent its end, and has it once the system has come to it.
            until = time.monotonic() + 20
            while alive(pid):
                self.assertLess(time.monotonic(), until)


class InTurn(unittest.TestCase):
    """Pages that are played one after another in one folder."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        (Path(self.folder) / "clone").mkdir()
        (Path(self.folder) / "home").mkdir()

    def play(self, *lines, tidy=True):
        return run.play("page.md", fenced("sh", *lines), self.folder, tidy)

    def wrong(self, lines, *parts):
        with self.assertRaises(run.Wrong) as caught:
            self.play(*lines)
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_what_a_page_leaves_is_there_for_the_next(self):
        self.play("mkdir ../guarded", tidy=False)
        self.wrong(["mkdir ../guarded"], "File exists")

    def test_what_is_made_is_to_be_removed(self):
        self.assertEqual(self.play("mkdir ../guarded", "echo a >../guarded/a", "cd ../guarded", "cd .. && rm -r guarded", "echo b >~/b"), 5)
        self.wrong(["mkdir ../guarded", "echo a >../guarded/a"], "page.md", "left behind", "guarded, guarded/a")

    def test_what_was_there_is_to_stay(self):
        (Path(self.folder) / "clone/a").write_text("a")
        self.play("cat a")
        self.wrong(["echo b >>a"], "changed at its end: clone/a")
        self.wrong(["chmod 700 a"], "clone/a")
        self.wrong(["rm a"], "clone/a")

    def test_what_is_started_is_to_be_stopped(self):
        waits = "python3 -c 'import signal; signal.pause()' &"
        self.play(waits, "kill $!; wait $! || true")
        # It is given the time that it takes to end.
        self.play(waits, "kill $!")
        patience, run.TIME_TO_END = run.TIME_TO_END, 0.0
        try:
            # A process has its name once it is what it is to become.
            self.wrong([waits, "until grep -q pause /proc/$!/cmdline; do sleep 0.05; done"], "still runs", "signal.pause()")
        finally:
            run.TIME_TO_END = patience

    def test_rows(self):
        pages = ["README.md", "docs/how-to/a.md", "docs/how-to/b.md", "docs/how-to/c.md", "docs/tutorial/d.md", "examples/e/README.md"]
        self.assertEqual(run.rows(pages, 2), [["docs/how-to/a.md", "docs/how-to/c.md"], ["docs/how-to/b.md", "docs/tutorial/d.md"],
                                              ["README.md"], ["examples/e/README.md"]])
        self.assertEqual(run.rows(["README.md"], 2), [["README.md"]])


class Pages(unittest.TestCase):
    def test_pages_are_those_of_git(self):
        with tempfile.TemporaryDirectory() as folder:
            def git(*words):
                subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)

            with self.assertRaises(run.Wrong) as caught:
                run.tracked(folder)
            self.assertIn("asked of git", str(caught.exception))
            git("init", "-q")
            pages = ["README.md", "docs/how-to/a.md", "docs/how-to/deeper/b.md", "docs/tutorial/c.md", "examples/d/README.md",
                     "examples/d/e/README.md"]
            for page in [*pages, "docs/index.md", "docs/reference/f.md", "examples/d/other.md"]:
                (Path(folder) / page).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / page).write_text("")
            with self.assertRaises(run.Wrong) as caught:
                run.tracked(folder)
            self.assertIn("README.md, docs/how-to/a.md, ", str(caught.exception))
            git("add", ".")
            self.assertEqual(run.tracked(folder), pages)
            # One that is gone from the folder alone is still to be played, and is missed there.
            (Path(folder) / "docs/tutorial/c.md").unlink()
            self.assertEqual(run.tracked(folder), pages)


class Links(unittest.TestCase):
    def test_what_leads_nowhere_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            page, other = Path(folder) / "page.md", Path(folder) / "other.md"
            other.write_text("# Of `keys` & more\n\n```sh\n# not a heading\n```\n")
            text = ("[a](other.md) [b](other.md#of-keys--more) [c](https://x.example/y) `[d](nowhere.md)`\n"
                    "```text\n[e](nowhere.md)\n```\n[f](nowhere.md) [g](other.md#not-a-heading) [h](#here)\n")
            page.write_text(text)
            self.assertEqual(list(links.dead(page, text)),
                             ["nowhere.md: no such file", "other.md#not-a-heading: no such heading", "#here: no such heading"])


class Examples(unittest.TestCase):
    def test_the_laptop_has_the_envoy_of_a_first_try(self):
        def settings(path):
            return [line for line in (run.ROOT / path).read_text().splitlines() if not line.startswith("#")]

        patient = [line.replace("0.25s", "5s") for line in settings("envoy/plain.yaml")]
        self.assertEqual(settings("examples/laptop/envoy.yaml"), patient)


if __name__ == "__main__":
    unittest.main()
