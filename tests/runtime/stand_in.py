"""A child in the standard library alone, started by the launcher in place of `run.py serve`.

It speaks the protocol with code of its own, and misbehaves as the request's method says.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import time

told = json.loads(sys.argv[2])
answers = told["answers"]
requests = os.fdopen(told["requests"], "rb")


def send(header, body=b""):
    text = json.dumps(header).encode()
    data = struct.pack("<4sIQ", b"TFX1", len(text), len(body)) + text + body
    while data:
        data = data[os.write(answers, data) :]


def receive():
    start = requests.read(16)
    if not start:
        sys.exit(0)
    _, header, body = struct.unpack("<4sIQ", start)
    return json.loads(requests.read(header)), requests.read(body)


def answer(number, value, **more):
    send({"type": "result", "id": number, "value": value, **more})


def call(number, name, header, body):
    """A call: its inputs are its outputs, unless the signature, function or first fetch says otherwise."""
    send({"type": "progress", "id": number, "what": "first call", "done": 0, "total": 1})
    if name == "falls":
        work(number, "signal", {"number": signal.SIGSEGV}, body, header)
    elif name in ("deaf", "fail"):
        work(number, name, {}, body, header)
    elif name == "silent":
        work(number, name, {"obedient": True}, body, header)
    elif name == "late":
        receive()
        call(number, "", header, body)
    else:
        value = {"latency_ms": {"first": 1.5, "repeats": [0.5] * header["params"]["repeat"]}}
        send({"type": "result", "id": number, "value": value, "tensors": header["tensors"]}, body)


def infer_shapes(number, params):
    """Shapes of nodes with telling names; of a function named `silent…` none, until it is cancelled."""
    send({"type": "progress", "id": number, "what": "inferring shapes", "done": 0, "total": None})
    name = params["function"] or ""
    if name.startswith("silent"):
        work(number, "silent", {"obedient": True}, b"", {})
    elif name.startswith("fail"):
        work(number, "fail", {}, b"", {})
    elif name.startswith("odd"):
        tell(number, b"[1, 2]")
    else:
        tell(number, json.dumps({"y": [[None, 257]], "z": ["odd"], "pair": [[2], None]}).encode())


def tell(number, body):
    tensors = [{"name": "shapes", "dtype": "uint8", "shape": [len(body)], "bytes": len(body)}]
    send({"type": "result", "id": number, "value": {}, "tensors": tensors}, body)


tuned = {"step": 0, "row": 0, "keys": [], "name": "", "rows": 0}


def changes():
    return [[one["key"], float(tuned["step"]) if one["train"] else 0.0] for one in tuned["keys"]]


def where():
    return {"step": tuned["step"], "row": tuned["row"], "changes": changes()}


def prepared(params):
    """Every second variable that is not ticked gets no gradient; the loss falls by steps."""
    tuned.update(keys=params["variables"], name=params["signature"] or params["function"], params=params)
    if tuned["name"] == "refused":
        return None
    variables = [
        {
            "key": one["key"],
            "trainable": True,
            "trained": one["train"],
            "gradient": one["train"],
            "why": "" if one["train"] else "the function does not use it",
            "gradient_norm": 1.0,
            "moved": False,
        }
        for one in params["variables"]
    ]
    return {"step": tuned["step"], "row": 0, "rows": tuned["rows"], "batch": params["batch"], "loss": 8.0,
            "variables": variables}  # fmt: skip


def step(number, done, steps):
    tuned["step"] += 1
    loss = float("nan") if tuned["name"] == "nan" and tuned["step"] == 3 else 8.0 / tuned["step"]
    figures = [[tuned["step"], loss, 1.0, 0.001]]
    send({"type": "progress", "id": number, "what": "steps", "done": done, "total": steps, "figures": figures,
          "changes": changes()})  # fmt: skip
    return loss


def run_steps(number, params):
    """Steps; by the name of what is tuned the third is NaN, or the third waits for a stop, or is the last of all."""
    steps = params["steps"]
    for done in range(1, steps + 1):
        loss = step(number, done, steps)
        if loss != loss:
            tuned["step"] -= 1
            nan = {"step": tuned["step"] + 1, "loss": True, "gradients": [tuned["keys"][0]["key"]]}
            return {"why": "nan", "nan": nan, "done": done - 1, **where(), "figures": [], "seconds": 0.1}
        if done == 3 and tuned["name"] == "falls":
            os.kill(os.getpid(), signal.SIGSEGV)
        if done == 3 and tuned["name"] == "waits" and receive()[0]["type"] == "stop":
            return {"why": "stopped", "nan": None, "done": done, **where(), "figures": [], "seconds": 0.1}
    return {"why": "done", "nan": None, "done": steps, **where(), "figures": [], "seconds": 0.1}


def tune(number, method, params, body, header):
    if method == "tune_data":
        tuned["rows"] = header["tensors"][0]["shape"][0]
        answer(number, {"rows": tuned["rows"]})
    elif method == "tune_prepare":
        value = prepared(params)
        if value is None:
            message = "none of the 1 chosen variables gets a gradient from this loss: the function does not use it"
            send({"type": "failure", "id": number, "kind": "no_gradient", "message": message})
        else:
            answer(number, value)
    elif method == "tune_run":
        send({"type": "progress", "id": number, "what": "compiling the step", "done": 0, "total": None})
        answer(number, {**run_steps(number, params), "reporting": 0.0})
    elif method == "tune_rollback":
        tuned.update(step=0, row=0)
        answer(number, where())
    elif method == "tune_save":
        answer(number, {"step": tuned["step"], "files": [["ckpt.index", 5], ["ckpt.data-00000-of-00001", 5]]})
    elif method == "tune_piece":
        tensors = [{"name": "piece", "dtype": "uint8", "shape": [5], "bytes": 5}]
        send({"type": "result", "id": number, "value": {}, "tensors": tensors}, b"bytes")
    elif method == "tune_restore":
        tuned["step"] = 7
        keys = [one["key"] for one in tuned["keys"]]
        answer(number, {**where(), "matched": keys[:1], "missing": keys[1:], "unused": ["other"], "optimizer": True,
                        "whole": True})  # fmt: skip
    elif method == "tune_values":
        values = struct.pack("<2f", 1.0 + tuned["step"], 1.0)
        tensors = [{"name": key, "dtype": "float32", "shape": [2], "bytes": 8} for key in params["keys"]]
        send({"type": "result", "id": number, "value": {}, "tensors": tensors}, values * len(tensors))
    else:
        answer(number, {})


def work(number, method, params, body, header):
    if method.startswith("tune_"):
        tune(number, method, params, body, header)
        return
    if method == "load":
        loaded = {"loader": "v2", "because": None, "signatures": [], "notes": ["the stand-in loads nothing"]}
        answer(number, {**loaded, "params": params})
    elif method == "describe":
        x = {"tensor": {"name": "x", "dtype": "float32", "shape": [None]}}
        traces = [{"args": [x, {"value": training}], "kwargs": {}, "outputs": x} for training in (True, False)]
        answer(number, {"signatures": {}, "functions": [{"path": "__call__", "traces": traces}]})
    elif method == "infer_shapes":
        infer_shapes(number, params)
    elif method == "call":
        call(number, params["signature"] or params["function"] or params["fetches"][0], header, body)
    elif method == "echo":
        send({"type": "progress", "id": number, "what": "echoing", "done": 1, "total": 2})
        answer(number, {"params": params, "pid": os.getpid(), "cwd": os.getcwd(), "environment": dict(os.environ)})
    elif method == "body":
        tensors = [{"name": "x", "dtype": "uint8", "shape": [len(body)], "bytes": len(body)}]
        send({"type": "result", "id": number, "value": {}, "tensors": tensors}, body)
    elif method == "fail":
        send({"type": "failure", "id": number, "kind": "invalid_argument", "message": "no"})
    elif method == "signal":
        print("I am about to fall")
        sys.stdout.flush()
        os.kill(os.getpid(), params["number"])
        time.sleep(60)
    elif method == "exit":
        os._exit(params["code"])
    elif method == "silent":
        while receive()[0]["type"] != "cancel" or not params.get("obedient"):
            pass
        send({"type": "failure", "id": number, "kind": "cancelled", "message": "cancelled"})
    elif method == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)
    elif method == "garbage":
        os.write(answers, b"Hello, I am a library that prints to the wrong place.\n")
        time.sleep(60)
    elif method == "half":
        os.write(answers, struct.pack("<4sIQ", b"TFX1", 1000, 0) + b'{"type":')
        os._exit(0)
    elif method == "huge":
        os.write(answers, struct.pack("<4sIQ", b"TFX1", 10, 1 << 60))
        time.sleep(60)
    elif method == "closes":
        os.close(answers)
        time.sleep(60)
    elif method == "stranger":
        send({"type": "result", "id": number + 1000, "value": {}})
        send({"type": "dance", "id": number})
        time.sleep(60)
    elif method == "prints":
        line = b"x" * 65535 + b"\n"
        for _ in range(params["bytes"] // len(line)):
            os.write(2, line)
        os.write(2, b"the last line\n")
        if params.get("then") == "abort":
            os.abort()
        answer(number, {})
    elif method == "spawns":
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        answer(number, {"pid": other.pid})
    elif method == "try":
        answer(number, tried(params))


def tried(params):
    import socket

    found = {}
    for path in params.get("writes", []):
        try:
            with open(path, "w") as file:
                file.write("x")
            found[path] = "done"
        except OSError as error:
            found[path] = type(error).__name__
    for path in params.get("reads", []):
        try:
            if os.path.isdir(path):
                os.listdir(path)
            else:
                with open(path, "rb") as file:
                    file.read(1)
            found[path] = "done"
        except OSError as error:
            found[path] = type(error).__name__
    for kind, port in params.get("ports", []):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as one:
                one.connect(("127.0.0.1", port))
                one.send(b"hello")
            found[kind] = "done"
        except OSError as error:
            found[kind] = type(error).__name__
    for pid in params.get("kills", []):
        try:
            os.kill(pid, 0)
            found[str(pid)] = "done"
        except OSError as error:
            found[str(pid)] = type(error).__name__
    if "memory" in params:
        try:
            bytearray(params["memory"])
            found["memory"] = "done"
        except MemoryError:
            found["memory"] = "MemoryError"
    return found


# How it fails to start, if it shall.
fault = os.environ.get("TF_STAND_IN", "")
if fault == "falls before hello":
    os.kill(os.getpid(), signal.SIGSEGV)
elif fault == "says nothing":
    time.sleep(600)
send({"type": "hello", "protocol": 99 if fault == "speaks another version" else 1})
if fault == "falls after hello":
    os.kill(os.getpid(), signal.SIGABRT)
elif fault == "half a ready":
    os.write(answers, struct.pack("<4sIQ", b"TFX1", 1000, 0) + b'{"type":')
    os.kill(os.getpid(), signal.SIGKILL)
elif fault == "lets go of its input":
    requests.close()
    time.sleep(600)
while True:
    header, body = receive()
    if header["type"] == "configure":
        answer(0, {"python": "0", "tensorflow": "none"})
    elif header["type"] == "request":
        work(header["id"], header["method"], header["params"], body, header)
