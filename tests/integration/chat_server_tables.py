"""The tables of docs/chat-servers.md say what the taps' own lists say."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORDS = {"none": "–", "partly": "partly", "always": "always", "more": "on request"}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def table(title):
    """{event: (may, told)} of one section of the manual."""
    section = read("docs", "chat-servers.md").partition(f"\n## {title}")[2].partition("\n## ")[0]
    return {event: (may, told) for event, may, told in re.findall(r"^\| (\w+) \| (\S+) \| ([\w –]+) \|", section, re.MULTILINE)
            if event != "event"}


def collector_events():
    """The guide's 40 names, as the collector has them."""
    text = read("collector", "sources", "xcp", "codec", "event_names.cc")
    return set(re.findall(r'^    \{"(\w+)", (?:true|false)', text, re.MULTILINE))


def declared_by_prosody():
    text = read("deploy", "taps", "prosody", "verbatim", "events.lib.lua")
    return {name: (WORDS.get(may, may), WORDS[told])
            for name, may, told in re.findall(r'^\t(\w+) = \{ "(\w+)", "(\w+)" \};', text, re.MULTILINE)}


def declared_by_ejabberd():
    text = read("deploy", "taps", "ejabberd", "mod_verbatim.erl")
    return {name: (WORDS.get(may, may), WORDS[told]) for name, may, told in re.findall(r'\{<<"(\w+)">>, (\w+), (\w+)\}', text)}


def check(title, declared):
    shown = table(title)
    assert len(collector_events()) == 40 and set(declared) == collector_events(), set(declared) ^ collector_events()
    different = {event: (shown.get(event), declared.get(event))
                 for event in shown.keys() | declared.keys() if shown.get(event) != declared.get(event)}
    assert not different, f"{title}: the manual and the tap differ (manual, tap): {different}"
    print(f"{title}: ok (40 events)")


check("Prosody", declared_by_prosody())
check("ejabberd", declared_by_ejabberd())
print("chat_server_tables: ok")
