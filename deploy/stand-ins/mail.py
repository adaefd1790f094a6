"""A mail server that takes every email and shows them all, for deploy/try: SMTP on port 1025, HTTP on port 8025."""

import http.server
import quopri
import socketserver
import threading

emails = []


class Smtp(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 mail")
        for line in self.rfile:
            command = line[:4].upper()
            if command == b"DATA":
                self.say("354 go on")
                email = b""
                for part in iter(self.rfile.readline, b".\r\n"):
                    email += part
                emails.append(quopri.decodestring(email))
            if command == b"QUIT":
                self.say("221 bye")
                return
            self.say("250 ok")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"\n\n".join(emails))


threading.Thread(target=http.server.ThreadingHTTPServer(("", 8025), Page).serve_forever).start()
socketserver.ThreadingTCPServer(("", 1025), Smtp).serve_forever()
