"""A plugin in 40 lines of plain Python: the HTTP contract and nothing else. Run: python3 main.py"""
import json, os, signal, sys, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HUB, NAME = os.environ.get("GATEHOUSE_URL", "http://127.0.0.1:8000"), "hello-python"
TOKEN_FILE = os.environ.get("GATEHOUSE_TOKEN_FILE", "hello-python.token")
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # proxies of the environment stay out of it
stopping = threading.Event()

def ask(path, token, body):
    request = urllib.request.Request(HUB + path, json.dumps(body).encode(), {"Content-Type": "application/json", "Authorization": "Bearer " + token})
    return json.load(opener.open(request, timeout=10))

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        caller = self.headers.get("X-Gatehouse-User", "")
        body = json.dumps({"status": "healthy"} if self.path == "/health" else {"hello": caller or "stranger"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

def register(port):  # the registration token claims the name once; then the service's own token does
    token = open(TOKEN_FILE).read() if os.path.exists(TOKEN_FILE) else os.environ.get("GATEHOUSE_REGISTRATION_TOKEN", "")
    reply = ask("/api/registry/register", token, {"name": NAME, "version": "1.0.0", "host": "127.0.0.1", "port": port,
        "health_check_url": "/health", "endpoints": [{"method": "GET", "path": "/hello", "is_public": True}]})
    if reply.get("service_token"):
        with os.fdopen(os.open(TOKEN_FILE, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file: file.write(reply["service_token"])
    return reply["instance_id"], reply["next_heartbeat_seconds"]

def live(port):
    instance, wait = None, 0
    while not stopping.wait(wait):
        try:
            if instance is None: instance, wait = register(port)
            else: wait = ask("/api/registry/heartbeat", open(TOKEN_FILE).read(), {"service_id": NAME, "instance_id": instance})["next_heartbeat_seconds"]
        except OSError as error:  # the hub is not there yet, or has forgotten us
            print("not registered:", error.read().decode() if hasattr(error, "read") else error, file=sys.stderr, flush=True)
            instance, wait = None, 2
    if instance:  # first nothing new, and a second later, when every node of the hub knows, nothing at all
        ask("/api/registry/heartbeat", open(TOKEN_FILE).read(), {"service_id": NAME, "instance_id": instance, "status": "draining"})
        time.sleep(1)
        ask("/api/registry/deregister/" + NAME, open(TOKEN_FILE).read(), {"instance_id": instance})
    server.shutdown()

server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PLUGIN_PORT", "8010"))), Handler)
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
beats = threading.Thread(target=live, args=(server.server_port,))
beats.start()
server.serve_forever()
beats.join()
