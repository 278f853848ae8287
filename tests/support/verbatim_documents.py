"""What tests ask of the XML adapter's documents."""
import glob
import os
import subprocess
import xml.etree.ElementTree as ElementTree

from verbatim_harness import BIN_DIR


def messages(folder):
    """(channel uri, Message element) of every document, in the order of batches."""
    for path in sorted(glob.glob(os.path.join(folder, "batch-*[0-9].xml"))):
        for conversation in ElementTree.parse(path).getroot().iterfind("Conversation"):
            for message in conversation.iterfind("Messages/Message"):
                yield conversation.find("Channel").get("uri"), message


def chat_texts(folder):
    """Content of every CHAT, in the order of batches."""
    return [message.get("content") for _, message in messages(folder) if message.get("type") == "CHAT"]


def assert_valid(folder):
    """Every document is valid and the companions form a chain; gives the line that says so."""
    done = subprocess.run([os.path.join(BIN_DIR, "verbatim-adapter-xml"), "--validate", folder], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not glob.glob(os.path.join(folder, "*.tmp")), os.listdir(folder)
    return done.stdout.strip()
