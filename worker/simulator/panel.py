"""The control page: the simulator's state, and a button for each request of the control API."""

import html
from collections.abc import Iterable, Sequence
from typing import Final

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>The simulated gateway</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
textarea { font: 13px monospace; width: 100% }
pre { background: #f4f4f4; overflow: auto; padding: 1rem }
form { margin: 1rem 0 }
</style>
<h1>The simulated gateway</h1>
<pre id="state">...</pre>
<p id="said" role="status"></p>
@FORMS@
<script>
const say = text => document.getElementById("said").textContent = text;
const show = async () => {
  const reply = await fetch("state");
  document.getElementById("state").textContent = JSON.stringify(await reply.json(), null, 2);
};
for (const form of document.forms) form.onsubmit = async event => {
  event.preventDefault();
  const reply = await fetch(form.dataset.path, {method: "POST", body: form.elements.body.value});
  say(reply.ok ? "done" : (await reply.json()).error);
  show();
};
show();
setInterval(show, 1000);
</script>
</html>
"""


def page(api: Iterable[Sequence[str]]) -> str:
    """Return the page. `api`: rows of method, path, example of a body, what it does."""
    forms = (
        f'<form data-path="{path}"><label>{html.escape(text)}'
        f'<textarea name="body" rows="1">{html.escape(body)}</textarea></label>'
        f"<button>{path}</button></form>"
        for method, path, body, text in api
        if method == "POST"
    )
    return _PAGE.replace("@FORMS@", "\n".join(forms))
