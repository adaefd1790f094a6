"""A mail server for one test (aiosmtpd), which keeps each email that it takes as a JSON file, and reads emails for
tests.

    smtp_server.py FOLDER [OPTION...]   serves on 127.0.0.1 and prints the port, until its input ends
    smtp_server.py --read FILE          prints what the mail in FILE says, as JSON
"""

import argparse
import asyncio
import email
import email.policy
import json
import os
import ssl
import sys
import threading


def read(data):
    """What a person would see of an email, as Python's own parser decodes it."""
    mail = email.message_from_bytes(data, policy=email.policy.default)

    def content(kind):
        part = mail.get_body((kind,))
        return part and part.get_content().replace("\r\n", "\n")

    return {
        "headers": [[name.lower(), str(value)] for name, value in mail.items()],
        "type": mail.get_content_type(),
        "text": content("plain"),
        "html": content("html"),
        "raw": data.decode("utf-8"),
    }


class Keeper:
    def __init__(self, options):
        self.options = options
        self.count = 0

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.options.sender_answer:
            return f"{self.options.sender_answer} <{address}>: sender"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        for word, answer in self.options.answer:
            if word in address:
                # As many servers do, with the address in it.
                return f"{answer} <{address}>: {word}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.options.data_answer:
            return self.options.data_answer
        self.count += 1
        name = f"{os.getpid()}-{self.count:06}"
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "greeting": session.host_name,
            "encrypted": bool(session.ssl or server.transport.get_extra_info("ssl_object")),
            "user": session.auth_data,
            **read(envelope.content),
        }
        folder = self.options.folder
        with open(f"{folder}/.{name}", "w") as file:
            json.dump(kept, file)
        os.rename(f"{folder}/.{name}", f"{folder}/{name}.json")
        return "250 kept"


def authenticator(user, password):
    from aiosmtpd.smtp import AuthResult

    def check(server, session, envelope, mechanism, data):
        right = (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=right, handled=right, auth_data=user if right else None)

    return check


async def serve(options):
    from aiosmtpd.smtp import SMTP

    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.certificate)
    settings = {"enable_SMTPUTF8": not options.ascii, "hostname": "mail.test"}
    if options.starttls:
        settings |= {"tls_context": context, "require_starttls": True}
    if options.user:
        settings |= {"authenticator": authenticator(*options.user), "auth_required": True}
        settings["auth_require_tls"] = bool(options.starttls)
    keeper = Keeper(options)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(keeper, **settings),
        "127.0.0.1",
        options.port,
        ssl=None if options.starttls else context,
    )
    # Ends with who started it, even if that is killed.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main():
    if sys.argv[1] == "--read":
        with open(sys.argv[2], "rb") as file:
            json.dump(read(file.read()), sys.stdout)
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ascii", action="store_true", help="know nothing of SMTPUTF8")
    parser.add_argument("--answer", nargs=2, action="append", default=[], metavar=("WORD", "ANSWER"),
                        help="answer so to recipients with WORD in their address")
    parser.add_argument("--sender-answer", metavar="ANSWER", help="answer so to every sender")
    parser.add_argument("--data-answer", metavar="ANSWER", help="answer so to every email")
    parser.add_argument("--user", nargs=2, metavar=("USER", "PASSWORD"), help="take emails after this login only")
    parser.add_argument("--certificate", nargs=2, metavar=("FILE", "KEY"), help="encrypt from the first byte on")
    parser.add_argument("--starttls", action="store_true", help="encrypt by STARTTLS, and take emails only so")
    asyncio.run(serve(parser.parse_args()))


main()
