// The endpoint as the page uses it: JSON by GET, and a chat completion as a stream of server-sent events.

/** An answer of the server that is no success, in its own words. */
export class server_failure extends Error {
  constructor(status, message, retry_after) {
    super(message);
    this.status = status;
    this.retry_after = retry_after;
  }
}

function with_key(key, headers = {}) {
  return key ? { ...headers, authorization: `Bearer ${key}` } : headers;
}

async function to_failure(response) {
  let message = "";
  try {
    message = (await response.json()).error?.message ?? "";
  } catch {
    // not JSON: the status has to do
  }
  return new server_failure(response.status, message, response.headers.get("retry-after"));
}

export async function get_json(path, key) {
  const response = await fetch(path, { headers: with_key(key) });
  if (!response.ok) throw await to_failure(response);
  return response.json();
}

export async function get_text(path, key, signal) {
  const response = await fetch(path, { headers: with_key(key), signal });
  if (!response.ok) throw await to_failure(response);
  return response.text();
}

/** Calls back with the data of each event; lines may be cut anywhere. */
async function read_events(body, on_data) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) on_data(line.slice(5).trim());
    }
  }
}

/** `on` has piece(text), end(finish_reason) and usage(object). Rejects when the answer is refused, fails or is cut short. */
export async function stream_chat(request, key, signal, on) {
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: with_key(key, { "content-type": "application/json" }),
    body: JSON.stringify(request),
    signal,
  });
  if (!response.ok) throw await to_failure(response);
  let complete = false;
  await read_events(response.body, (data) => {
    if (data === "[DONE]") {
      complete = true;
      return;
    }
    const chunk = JSON.parse(data);
    if (chunk.error) throw new server_failure(0, chunk.error.message);
    const choice = chunk.choices?.[0];
    if (choice?.delta?.content) on.piece(choice.delta.content);
    if (choice?.finish_reason) on.end(choice.finish_reason);
    if (chunk.usage) on.usage(chunk.usage);
  });
  if (!complete) throw new server_failure(0, "The connection was lost before the answer was complete.");
}

/** A failure as a sentence for the person at the page. */
export function describe_failure(failure) {
  if (failure instanceof SyntaxError) return "The server sent something that is not JSON.";
  if (!(failure instanceof server_failure)) return "The server cannot be reached. Is it still running?";
  const said = failure.message;
  const wait = failure.retry_after ? ` Try again in ${failure.retry_after} s.` : " Try again in a moment.";
  switch (failure.status) {
    case 0: return said;
    case 401: return `The server wants an API key; give it under Settings. ${said}`;
    case 429:
    case 503: return `The server has too much to do right now.${wait} ${said}`;
    default: return said || `The server answered with status ${failure.status}.`;
  }
}
