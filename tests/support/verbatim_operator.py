"""verbatimctl as an operator uses it, with its answers checked for what must never be shown.

    operator = Operator(pipeline, canary="text of every post")
    operator.run("queues", "list", words=["events"])          # exit code 0, and these words
    operator.run("holds", "add", code=2)
    operator.json("queues", "list")["queues"]
"""


class Operator:
    def __init__(self, pipeline, canary):
        self.pipeline, self.canary = pipeline, canary

    def run(self, *arguments, code=0, words=()):
        """The CompletedProcess. Chat text may be shown with --content only, and colours never."""
        done = self.pipeline.verbatimctl(*arguments)
        shown = done.stdout + done.stderr
        assert done.returncode == code, f"exit {done.returncode} instead of {code}: {arguments}\n{shown}"
        for word in words:
            assert word in shown, f"{word!r} is missing: {arguments}\n{shown}"
        assert self.canary not in shown or "--content" in arguments, f"chat text is shown: {arguments}"
        assert "\x1b" not in shown, f"colours without a terminal: {arguments}"
        return done

    def json(self, *arguments):
        return self.pipeline.verbatimctl_json(*arguments)
