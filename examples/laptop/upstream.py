"""A documents service that guards nothing itself: it answers what it was asked, and who asked, by the headers that came with it."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Documents(BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        lines = [f"{self.command} {self.path}"]
        lines += [f"{name.lower()}: {value}" for name, value in self.headers.items() if name.lower().startswith("x-exequatur-")]
        lines += [f"{name}: seen" for name in ("authorization", "dpop") if name in self.headers]
        body = "".join(f"{line}\n" for line in lines).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = answer

    def log_message(self, format, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", 10080), Documents).serve_forever()
