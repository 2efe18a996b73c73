// The page at "/": reads the form, keeps the conversation, shows answers as they come. The rest is in the modules beside this file.
import { describe_failure, get_json, stream_chat } from "./page_api.js";
import { start_load } from "./page_load.js";
import { render_text } from "./page_text.js";

const by_id = (id) => document.getElementById(id);
const log = by_id("log");
const message = by_id("message");
const send = by_id("send");
const stop = by_id("stop");
const key_field = by_id("api_key");

let conversation = []; // {role, content}, without the system prompt
let running = null; // the AbortController of the answer that is being made

function number_of(id) {
  const field = by_id(id);
  return field.value === "" || !field.checkValidity() ? undefined : Number(field.value);
}

function chat_request() {
  const system = by_id("system").value.trim();
  const messages = system ? [{ role: "system", content: system }, ...conversation] : [...conversation];
  return {
    model: by_id("model").value,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    temperature: number_of("temperature"),
    max_tokens: number_of("max_tokens"),
    seed: number_of("seed"),
  };
}

function add_element(parent, tag, class_name, text) {
  const element = document.createElement(tag);
  element.className = class_name;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

// The end of the log stays in view, as answers grow and as the window shrinks, unless the reader has scrolled away from it.
let at_end = true;
let layout = "";

const layout_now = () => `${log.scrollHeight} ${log.clientHeight}`;

function show_end() {
  if (at_end) log.scrollTop = log.scrollHeight;
  layout = layout_now();
}

function following(change) {
  change();
  show_end();
}

function add_turn(role, text) {
  by_id("welcome")?.remove();
  const turn = add_element(log, "article", `turn ${role}`);
  turn.setAttribute("aria-label", role === "user" ? "You" : "Answer");
  const body = add_element(turn, "div", "text");
  render_text(body, text);
  return { turn, body };
}

/** What an answer cost: what the person waited, and how fast it came. */
function figures(answer) {
  const parts = [];
  if (answer.first_at !== undefined) parts.push(`first token after ${Math.round(answer.first_at - answer.sent_at)} ms`);
  const tokens = answer.usage?.completion_tokens ?? answer.pieces;
  if (tokens > 0) parts.push(`${tokens} ${tokens === 1 ? "token" : "tokens"}`);
  const seconds = (answer.last_at - answer.first_at) / 1000;
  if (tokens > 1 && seconds > 0) parts.push(`${((tokens - 1) / seconds).toFixed(1)} tokens/s`);
  const cached = answer.usage?.prompt_tokens_details?.cached_tokens;
  if (answer.usage) parts.push(`prompt of ${answer.usage.prompt_tokens} tokens${cached ? `, ${cached} cached` : ""}`);
  if (answer.reason === "length") parts.push("cut at max tokens");
  if (answer.stopped) parts.push("stopped");
  return parts.join(" · ");
}

function set_running(controller) {
  running = controller;
  send.hidden = controller !== null;
  stop.hidden = controller === null;
}

async function ask(text) {
  const mine = conversation;
  add_turn("user", text);
  mine.push({ role: "user", content: text });
  const { turn, body } = add_turn("assistant", "");
  turn.setAttribute("aria-busy", "true");
  at_end = true;
  show_end();
  const controller = new AbortController();
  set_running(controller);

  const answer = { text: "", pieces: 0, sent_at: performance.now() };
  let drawing = 0;
  const draw = () => {
    drawing = 0;
    following(() => render_text(body, answer.text));
  };
  let failure = null;
  try {
    await stream_chat(chat_request(), key_field.value, controller.signal, {
      piece(content) {
        answer.last_at = performance.now();
        answer.first_at ??= answer.last_at;
        answer.pieces += 1;
        answer.text += content;
        drawing ||= requestAnimationFrame(draw);
      },
      end: (reason) => { answer.reason = reason; },
      usage: (usage) => { answer.usage = usage; },
    });
  } catch (error) {
    answer.stopped = controller.signal.aborted;
    if (!answer.stopped) failure = error;
  }
  if (drawing) cancelAnimationFrame(drawing);
  following(() => {
    render_text(body, answer.text);
    turn.setAttribute("aria-busy", "false");
    const said = figures(answer);
    if (said) add_element(turn, "div", "figures", said);
    if (failure) add_element(turn, "div", "failure", describe_failure(failure)).setAttribute("role", "alert");
  });
  if (running === controller) set_running(null);
  // A question without an answer is not part of the conversation that the model sees next.
  if (answer.text) mine.push({ role: "assistant", content: answer.text });
  else mine.pop();
  if (failure?.status === 401) {
    by_id("settings").open = true;
    key_field.focus();
  }
}

log.addEventListener("scroll", () => {
  // A window of another width moves the end too; that is not the reader's doing.
  if (layout !== layout_now()) show_end();
  else at_end = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
});
new ResizeObserver(show_end).observe(log);

function fit_message() {
  message.style.height = "auto";
  message.style.height = `${message.scrollHeight + 2}px`;
}

function submit() {
  const text = message.value.trim();
  if (!text || running) return;
  const wrong = [...by_id("settings").querySelectorAll("input")].find((field) => !field.checkValidity());
  if (wrong) {
    by_id("settings").open = true;
    wrong.reportValidity();
    return;
  }
  message.value = "";
  fit_message();
  ask(text);
}

by_id("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
message.addEventListener("input", fit_message);
message.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
stop.addEventListener("click", () => {
  running?.abort();
  message.focus();
});
by_id("new").addEventListener("click", () => {
  running?.abort();
  set_running(null);
  conversation = [];
  log.replaceChildren();
  message.focus();
});

async function show_server() {
  const version = await get_json("/version", "").catch(() => null);
  if (version?.version) by_id("version").textContent = version.version;
  const select = by_id("model");
  try {
    const models = (await get_json("/v1/models", key_field.value)).data.map((each) => each.id);
    select.replaceChildren(...models.map((id) => new Option(id, id)));
    select.disabled = models.length < 2;
    document.title = `${models[0]} · Troupe`;
  } catch (error) {
    select.replaceChildren(new Option(error.status === 401 ? "needs an API key" : "unknown", ""));
  }
}

// The key lives as long as this tab, and nowhere else.
key_field.value = sessionStorage.getItem("troupe_api_key") ?? "";
key_field.addEventListener("change", () => {
  sessionStorage.setItem("troupe_api_key", key_field.value);
  show_server();
});
show_server();
start_load(by_id("tiles"), by_id("connection"), () => key_field.value);
