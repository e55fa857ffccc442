// The page: what is chosen, and what the server draws of it. No library, no other host.
const $ = (id) => document.getElementById(id);
const make = (tag, values = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), values);
  node.append(...children);
  return node;
};
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]; // Okabe and Ito: as in curves.png
const VIEWS = { explore: "Explore", photo: "Photograph", training: "Training", card: "Card" };

const page = {
  entries: [], place: 0, run: false, preset: null, view: null,
  first: 0, number: 24, start: 0, end: 7, next: "start", frame: 0, mix: null,
  strips: new Map(), photo: null, wide: false,
};

// ---- Asking the server.

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("kgan ui is not running any more: start it again, and load this page anew.");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.error || `Not understood (${answer.status}).`);
}
const json = async (path, options) => (await ask(path, options)).json();

function tell(error) {
  if (error && error.name === "AbortError") return;
  $("message").textContent = error ? error.message : "";
  $("message").hidden = !error;
}
// What a person does clears what was said before, and says what goes wrong now.
const safely = (action) => async (...given) => {
  tell(null);
  try {
    return await action(...given);
  } catch (error) {
    tell(error);
  }
};

const address = (what, values) =>
  `/kgan/presets/${page.place}/${what}?` +
  new URLSearchParams({ w: page.preset.weights, q: JSON.stringify(values) });

// A strip of pictures, one below the other; each is asked for once.
function strip(kind, values) {
  const from = address(`strip/${kind}`, values);
  if (!page.strips.has(from)) {
    const loading = ask(from).then((answer) => answer.blob()).then(createImageBitmap);
    loading.catch(() => page.strips.delete(from));
    page.strips.set(from, loading);
    if (page.strips.size > 40) page.strips.delete(page.strips.keys().next().value);
  }
  return page.strips.get(from);
}

// What was asked for last is what is shown, in whichever order answers come.
const asked = {};
function only(place) {
  const mine = (asked[place] = (asked[place] || 0) + 1);
  return () => asked[place] === mine;
}

// ---- Pictures on canvases, enlarged by whole factors.

const factor = (width, room) => Math.max(1, Math.floor(room / width));

// A picture that is too wide is shrunk by the browser: smoothly, for of some pixels nothing would be left.
function enlarge(image, width, height = Infinity) {
  const { naturalWidth: w, naturalHeight: h } = image;
  const times = Math.min(factor(w, width), factor(h, height));
  image.style.width = times > 1 ? `${w * times}px` : "";
  image.style.imageRendering = w > width ? "auto" : "";
}

function draw(canvas, bitmap, index, times) {
  const [height, width] = page.preset.shape;
  const dense = Math.ceil(window.devicePixelRatio || 1);
  canvas.width = width * times * dense;
  canvas.height = height * times * dense;
  canvas.style.width = `${width * times}px`;
  canvas.style.height = `${height * times}px`;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = !page.preset.pixels;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, index * height, width, height, 0, 0, canvas.width, canvas.height);
}

const bigFactor = () => factor(page.preset.shape[1], $("big").parentElement.clientWidth);

// ---- Explore: a wall of seeds, two of them, and what lies between.

const chosen = () => {
  const values = { label: null, truncation: null };
  if (page.preset.classes && $("class").value !== "") values.label = Number($("class").value);
  if (page.preset.styles) {
    const value = page.preset.truncations[$("truncation").value];
    if (value !== 1) values.truncation = value;
  }
  return values;
};

async function showWall() {
  const last = only("wall");
  const bitmap = await strip("wall", { first: page.first, number: page.number, ...chosen() });
  if (!last()) return;
  const [height, width] = page.preset.shape;
  const times = factor(width, page.wide ? 132 : 84);
  $("wall").style.setProperty("--tile", `${width * times}px`);
  $("wall").style.setProperty("--ratio", `${width} / ${height}`);
  while ($("wall").children.length < page.number) {
    $("wall").append(make("button", { type: "button" }, make("canvas", { width: 0 })));
  }
  [...$("wall").children].forEach((tile, index) => {
    tile.dataset.seed = page.first + index;
    tile.setAttribute("aria-label", `Seed ${page.first + index}`);
    draw(tile.firstChild, bitmap, index, times);
  });
  $("first").value = page.first;
  $("last").textContent = `to ${page.first + page.number - 1}`;
  $("before").disabled = page.first === 0;
  mark();
}

function mark() {
  for (const tile of $("wall").children) {
    const seed = Number(tile.dataset.seed);
    tile.classList.toggle("start", seed === page.start);
    tile.classList.toggle("end", seed === page.end);
    tile.tabIndex = -1;
  }
  const tiles = [...$("wall").children];
  const here = tiles.find((t) => Number(t.dataset.seed) === page.start) || tiles[0];
  if (here && !tiles.some((t) => t === document.activeElement)) here.tabIndex = 0;
  else if (document.activeElement.parentElement === $("wall")) document.activeElement.tabIndex = 0;
  for (const end of document.querySelectorAll(".slot[data-end]")) {
    end.setAttribute("aria-pressed", String(end.dataset.end === page.next));
    end.setAttribute("aria-label", `${end.dataset.end}: seed ${page[end.dataset.end]}`);
  }
  $("hint").textContent =
    `A picture you choose becomes the ${page.next}. Arrow keys move, S sets the start, E the end, ` +
    "Page Up and Page Down turn the page.";
}

async function showEnds() {
  const newest = only("ends");
  const bitmap = await strip("way", { start: page.start, end: page.end, ...chosen() });
  if (!newest()) return;
  const times = factor(page.preset.shape[1], 44);
  const [first, last] = document.querySelectorAll(".slot[data-end] canvas");
  draw(first, bitmap, 0, times);
  draw(last, bitmap, page.preset.steps, times);
  for (const canvas of [first, last]) canvas.style.width = canvas.style.height = "";
}

async function showMixes() {
  $("mix").hidden = !page.preset.styles;
  if (!page.preset.styles) return;
  const last = only("mixes");
  const bitmap = await strip("mixes", { start: page.start, end: page.end, ...chosen() });
  if (!last()) return;
  const times = factor(page.preset.shape[1], 120);
  [...$("mixes").children].forEach((button, index) => {
    draw(button.firstChild, bitmap, index, times);
    button.setAttribute("aria-pressed", String(page.mix === page.preset.layers[index]));
  });
}

// What the large picture is of, as the server is asked for it.
function current() {
  const { start, end, frame, mix } = page;
  if (mix) return { verb: "mix", start, end, layers: mix, ...chosen() };
  if (frame === 0) return { verb: "sample", seed: start, ...chosen() };
  return { verb: "walk", start, end, frame, ...chosen() };
}

function caption() {
  const { start, end, frame, mix } = page;
  if (mix) return `seed ${start} with ${mix} styles of seed ${end}`;
  if (frame === 0) return `seed ${start}`;
  if (frame === page.preset.steps) return `seed ${end}`;
  return `from seed ${start} to seed ${end}, step ${frame} of ${page.preset.steps}`;
}

async function showBig() {
  const last = only("big");
  const text = caption();
  let bitmap, index;
  if (page.mix) {
    bitmap = await strip("mixes", { start: page.start, end: page.end, ...chosen() });
    index = page.preset.layers.indexOf(page.mix);
  } else {
    bitmap = await strip("way", { start: page.start, end: page.end, ...chosen() });
    index = page.frame;
  }
  if (!last()) return;
  draw($("big"), bitmap, index, bigFactor());
  $("big").setAttribute("aria-label", text);
  $("caption").textContent = text;
  tellHow();
}

let telling;
function tellHow() {
  const wanted = { ...current(), scale: Number($("scale").value) };
  const last = only("code");
  $("download").textContent = page.mix ? "Download sheet" : "Download PNG";
  $("download").href = address("picture", wanted);
  const { start, end } = page;
  const animation = { verb: "walk", start, end, frame: null, ...chosen(), scale: wanted.scale };
  $("animation").href = address("picture", animation);
  clearTimeout(telling);
  telling = setTimeout(safely(async () => {
    const said = await json(address("said", wanted));
    if (last()) showCode("picture", said);
  }), 150);
}

const refresh = safely(async () => {
  await Promise.all([showWall(), showBig(), showEnds()]);
  await showMixes(); // which the others need not wait for
});
const ends = safely(async () => {
  mark();
  await Promise.all([showBig(), showEnds()]);
  await showMixes();
});

function choose(seed, end = page.next) {
  page[end] = seed;
  if (end === page.next) page.next = "end";
  page.mix = null;
  page.frame = end === "start" ? 0 : page.preset.steps;
  $("way").value = page.frame;
  ends();
}

function turnTo(first) {
  if (!Number.isSafeInteger(first) || first < 0) return;
  page.first = first;
  safely(showWall)();
}

$("wall").addEventListener("click", (event) => {
  const tile = event.target.closest("button");
  if (tile) choose(Number(tile.dataset.seed));
});
$("wall").addEventListener("keydown", (event) => {
  const tiles = [...$("wall").children];
  const at = tiles.indexOf(document.activeElement);
  const columns = getComputedStyle($("wall")).gridTemplateColumns.split(" ").length;
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (event.key in moves) {
    const to = tiles[at + moves[event.key]];
    if (to) {
      tiles[at].tabIndex = -1;
      to.tabIndex = 0;
      to.focus();
    }
  } else if (event.key === "PageDown") turnTo(page.first + page.number);
  else if (event.key === "PageUp") turnTo(Math.max(0, page.first - page.number));
  else if (event.key === "s") choose(Number(tiles[at].dataset.seed), "start");
  else if (event.key === "e") choose(Number(tiles[at].dataset.seed), "end");
  else return;
  event.preventDefault();
});
$("before").addEventListener("click", () => turnTo(Math.max(0, page.first - page.number)));
$("next").addEventListener("click", () => turnTo(page.first + page.number));
$("first").addEventListener("change", () => turnTo(Number($("first").value)));
$("pager").addEventListener("submit", (event) => event.preventDefault());
for (const end of document.querySelectorAll(".slot[data-end]")) {
  end.addEventListener("click", () => {
    page.next = end.dataset.end;
    page.mix = null;
    page.frame = page.next === "start" ? 0 : page.preset.steps;
    $("way").value = page.frame;
    ends();
  });
}
$("way").addEventListener("input", () => {
  page.mix = null;
  page.frame = Number($("way").value);
  safely(showBig)();
  for (const button of $("mixes").children) button.setAttribute("aria-pressed", "false");
});
$("class").addEventListener("change", refresh);
$("scale").addEventListener("change", tellHow);

// Truncation: while the slider moves, the start alone, of a strip that is asked for once.
const truncations = () => strip("truncated", { seed: page.start, label: chosen().label });
for (const event of ["pointerenter", "focus"]) {
  $("truncation").addEventListener(event, safely(truncations));
}
$("truncation").addEventListener("input", safely(async () => {
  const value = page.preset.truncations[$("truncation").value];
  const last = only("big");
  $("truncation-value").value = value.toFixed(2);
  page.mix = null;
  page.frame = 0;
  $("way").value = 0;
  const bitmap = await truncations();
  if (!last()) return;
  draw($("big"), bitmap, Number($("truncation").value), bigFactor());
  $("big").setAttribute("aria-label", `seed ${page.start} at truncation ${value.toFixed(2)}`);
  $("caption").textContent = `seed ${page.start}`;
}));
$("truncation").addEventListener("change", refresh);

// ---- The command and the Python of a picture.

// A command's lines are broken before options alone; Python's are not.
function type(node, kind, text) {
  node.style.whiteSpace = kind === "Python" ? "pre" : "";
  const parts = text.split(/( (?=-)|\n)/);
  node.replaceChildren(...parts.map((part, at) => (at % 2 ? part : make("span", { textContent: part }))));
}

function showCode(name, said) {
  const box = document.querySelector(`[data-code=${name}]`);
  const kinds = { Command: said.command, Python: said.python };
  if (!box.firstChild) {
    const bar = make("div", { className: "bar" });
    bar.setAttribute("role", "tablist");
    for (const kind of Object.keys(kinds)) {
      if (!kinds[kind]) continue;
      const tab = make("button", { type: "button", textContent: kind });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-selected", String(kind === "Command"));
      tab.addEventListener("click", () => {
        for (const other of bar.querySelectorAll("[role=tab]")) {
          other.setAttribute("aria-selected", String(other === tab));
        }
        type(box.querySelector("pre"), kind, box.said[kind]);
      });
      bar.append(tab);
    }
    const copy = make("button", { type: "button", className: "copy", textContent: "Copy" });
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(box.querySelector("pre").textContent);
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = "Copy"), 1200);
    });
    bar.append(copy);
    box.append(bar, make("pre"));
  }
  box.said = kinds;
  const kind = box.querySelector("[aria-selected=true]").textContent;
  type(box.querySelector("pre"), kind, kinds[kind]);
}

// ---- A photograph: projected, or translated.

const frame = { x: 0.5, y: 0.5, zoom: 1 }; // the middle of the part, in fractions, and how small it is

function part() {
  // Width and height of the part in fractions of the photograph, as large as its proportions allow.
  const image = $("preview");
  const [height, width] = page.preset.shape;
  const wanted = width / height;
  const given = image.naturalWidth / image.naturalHeight;
  const w = (given > wanted ? wanted / given : 1) / frame.zoom;
  const h = (given > wanted ? 1 : given / wanted) / frame.zoom;
  frame.x = Math.min(1 - w / 2, Math.max(w / 2, frame.x));
  frame.y = Math.min(1 - h / 2, Math.max(h / 2, frame.y));
  const cut = (value) => Math.min(1, Math.max(0, Number(value.toFixed(4))));
  return [frame.x - w / 2, frame.y - h / 2, frame.x + w / 2, frame.y + h / 2].map(cut);
}

function showPart() {
  const image = $("preview");
  const view = $("viewport");
  const [height, width] = page.preset.shape;
  view.style.aspectRatio = `${width} / ${height}`;
  const [left, top, right] = part();
  const times = view.clientWidth / ((right - left) * image.naturalWidth);
  image.style.transform =
    `translate(${-left * image.naturalWidth * times}px, ${-top * image.naturalHeight * times}px) scale(${times})`;
}

const canFrame = () => page.preset.photo === true;

function empty() {
  $("drop").classList.remove("small");
  $("drop").querySelector("strong").textContent = "Drop a picture here";
  $("drop").querySelector("span").textContent = "or choose one; nothing leaves this machine";
}

async function take(file) {
  if (!file) return;
  page.photo = null;
  $("go").disabled = true;
  $("framing").hidden = $("given").hidden = true;
  $("drop").querySelector("strong").textContent = file.name || "Picture";
  $("drop").querySelector("span").textContent = "is looked at…";
  try {
    const headers = { "x-name": encodeURIComponent(file.name || "picture.png") };
    page.photo = (await json("/kgan/photos", { method: "POST", headers, body: file })).photo;
  } catch (error) {
    empty();
    throw error;
  }
  $("drop").querySelector("span").textContent = "Drop another, or choose one, to replace it";
  $("drop").classList.add("small");
  $("go").disabled = false;
  if (page.url) URL.revokeObjectURL(page.url);
  page.url = URL.createObjectURL(file);
  Object.assign(frame, { x: 0.5, y: 0.5, zoom: 1 });
  $("zoom").value = 1;
  $("preview").src = page.url;
  // What a browser cannot show (TIFF, say) is still read: its center is taken.
  const shown = await $("preview").decode().then(() => true, () => false);
  page.framed = shown;
  $("framing").hidden = !shown || !canFrame();
  $("given").onload = () => enlarge($("given"), 192, 192);
  $("given").src = page.url;
  $("given").hidden = !shown || canFrame();
  if (!$("framing").hidden) showPart();
  if (!canFrame()) await go();
}

async function go() {
  const preset = page.preset;
  // What is made for a model must not stand beside the name of one that was chosen meanwhile.
  const shown = (made) => (page.preset === preset ? showMade(made) : null);
  if (preset.directions) {
    const values = { photo: page.photo, direction: $("direction").value };
    $("go").disabled = true;
    try {
      await shown(await json(address("translation", values)));
    } finally {
      $("go").disabled = !page.photo;
    }
    return;
  }
  const label = $("photo-class").value;
  const whole = !page.framed || (frame.zoom === 1 && frame.x === 0.5 && frame.y === 0.5);
  const values = {
    place: page.place, w: preset.weights, photo: page.photo, box: whole ? null : part(),
    label: preset.classes && label !== "" ? Number(label) : null, steps: Number($("steps").value),
  };
  const bar = $("progress").querySelector("progress");
  const text = $("progress").querySelector("span");
  bar.removeAttribute("value");
  text.textContent = "TensorFlow is loaded, or another's search is waited for";
  $("progress").hidden = $("stop").hidden = false;
  $("go").disabled = true;
  try {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ data: [JSON.stringify(values)] });
    const { event_id } = await json("/gradio_api/call/project", { method: "POST", headers, body });
    const result = await new Promise((resolve, reject) => {
      const events = new EventSource(`/gradio_api/call/project/${event_id}`);
      let last = null;
      const ended = (settle, value) => (events.close(), settle(value));
      events.addEventListener("generating", (event) => {
        const message = JSON.parse(JSON.parse(event.data)[0]);
        if (message.result) return ended(resolve, message.result);
        last = message;
        bar.value = message.done / message.total;
        text.textContent = `${message.done} of ${message.total} steps`;
      });
      events.addEventListener("error", () => ended(reject, new Error("The search was cut off: begin it again.")));
      events.addEventListener("complete", () => ended(reject, new Error(`The search ended without a picture${last ? "" : ", before it began"}.`)));
    });
    if (result.problem) throw new Error(result.problem);
    await shown(result);
  } finally {
    $("progress").hidden = $("stop").hidden = true;
    $("go").disabled = !page.photo;
  }
}

async function showMade(made) {
  const from = `/kgan/made/${made.made}/`;
  const image = $("made-picture");
  image.src = `${from}png`;
  $("made").hidden = image.hidden = false;
  $("made-hint").hidden = true;
  await image.decode();
  enlarge(image, image.parentElement.clientWidth);
  $("made-png").href = `${from}png`;
  $("made-npz").href = `${from}npz`;
  $("made-npz").hidden = !made.latents;
  $("made-caption").textContent = made.latents
    ? `left: the photograph as the model sees it; right: what it draws. Mean squared error ${made.error.toFixed(4)}. It is not that person.`
    : "your picture, as the model translates it";
  showCode("made", made);
}

$("file").addEventListener("change", safely(() => take($("file").files[0])));
$("drop").addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") $("file").click();
});
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  $("photo").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", over);
  });
}
$("photo").addEventListener("drop", safely((event) => take(event.dataTransfer.files[0])));
document.addEventListener("paste", (event) => {
  if (page.view === "photo" && event.clipboardData.files.length) safely(take)(event.clipboardData.files[0]);
});
// A file that misses its place must not take the page's.
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
$("go").addEventListener("click", safely(go));
$("stop").addEventListener("click", safely(() => ask(`/kgan/photos/${page.photo}/stop`, { method: "POST" })));
$("direction").addEventListener("change", safely(() => page.photo && go()));
$("zoom").addEventListener("input", () => {
  frame.zoom = Number($("zoom").value);
  showPart();
});
$("viewport").addEventListener("pointerdown", (event) => $("viewport").setPointerCapture(event.pointerId));
$("viewport").addEventListener("pointermove", (event) => {
  if (!event.buttons) return;
  const [left, top, right, bottom] = part();
  frame.x -= (event.movementX / $("viewport").clientWidth) * (right - left);
  frame.y -= (event.movementY / $("viewport").clientHeight) * (bottom - top);
  showPart();
});
$("viewport").addEventListener("keydown", (event) => {
  const step = 0.02 / frame.zoom;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const zooms = { "+": 1.05, "=": 1.05, "-": 1 / 1.05 };
  if (event.key in moves) {
    frame.x += moves[event.key][0];
    frame.y += moves[event.key][1];
  } else if (event.key in zooms) {
    frame.zoom = Math.min(6, Math.max(1, frame.zoom * zooms[event.key]));
    $("zoom").value = frame.zoom;
  } else return;
  event.preventDefault();
  showPart();
});

// ---- The card.

function showCard() {
  const { lines, notes, figures, pictures } = page.preset;
  $("lines").replaceChildren(
    ...Object.entries(lines).flatMap(([key, value]) => [
      make("dt", { textContent: key }), make("dd", { textContent: value }),
    ]),
  );
  $("notes").replaceChildren(...notes.map((text) => make("p", { textContent: text })));
  const rows = figures.map(([name, value, floor]) => [name, value, floor ?? ""]);
  table($("figures"), rows.length ? ["", "value", "real images"] : [], rows);
  $("pictures").replaceChildren(
    ...pictures.map((name) => {
      const image = make("img", { className: "card-picture", loading: "lazy", alt: name });
      image.src = `/kgan/presets/${page.place}/card/${name}?w=${page.preset.weights}`;
      return image;
    }),
  );
}

function table(node, names, rows) {
  const row = (tag, cells) => make("tr", {}, ...cells.map((text) => make(tag, { textContent: text })));
  node.replaceChildren(...(names.length ? [row("th", names)] : []), ...rows.map((cells) => row("td", cells)));
}

// ---- A run, while it goes on.

const watch = { state: null, at: -1, timer: null, playing: null, text: "" };
const count = (number) => number.toLocaleString("en");
const clock = (seconds) => {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return `${parts[0]}:${String(parts[1]).padStart(2, "0")}:${String(parts[2]).padStart(2, "0")}`;
};

async function follow() {
  clearTimeout(watch.timer);
  const place = page.place;
  try {
    if (!document.hidden) await showRun(place);
  } finally {
    if (page.view === "training" && page.place === place) {
      watch.timer = setTimeout(() => follow().catch(tell), watch.state?.ended ? 15000 : 2000);
    }
  }
}

async function showRun(place) {
  const answer = await ask(`/kgan/runs/${place}`);
  const text = await answer.text();
  const state = JSON.parse(text);
  if (page.place !== place) return;
  const last = watch.state ? watch.state.grids.length - 1 : -1;
  const newest = watch.at < 0 || watch.at === last; // who looks at the last grid follows
  const { quiet, ...rest } = state;
  const same = JSON.stringify(rest) === watch.text;
  watch.state = state;
  watch.text = JSON.stringify(rest);
  const share = Math.min(100, (100 * state.seen) / state.images).toFixed(state.seen < state.images ? 1 : 0);
  const ago = quiet === null ? "nothing written yet" : quiet < 90 ? `written ${Math.round(quiet)} s ago` : `nothing written for ${clock(quiet)}`;
  $("run-state").textContent =
    `${state.model} · ${count(state.seen)} of ${count(state.images)} images (${share}%) · ` +
    `${clock(state.seconds)} of training · ${state.ended ? "ended" : ago}`;
  if (same) return;
  document.body.classList.toggle("pixels", state.pixels);
  $("reel").max = Math.max(0, state.grids.length - 1);
  $("reel").disabled = $("play").disabled = state.grids.length < 2;
  showGrid(newest ? state.grids.length - 1 : watch.at);
  $("resume").textContent = state.ended ? "This measures its snapshots, and trains no more" : "This goes on with it, if it was stopped";
  showCode("run", { command: state.resume });
  table($("log"), state.names, [...state.lines].reverse());
}

function showGrid(at) {
  const { grids, drawn, name } = watch.state;
  // One that was drawn anew has another address.
  const address = (index) => `/kgan/runs/${page.place}/grids/${grids[index]}?drawn=${drawn[index]}`;
  watch.at = at;
  $("reel").value = Math.max(0, at);
  if (at >= 0) {
    const image = $("film");
    image.src = address(at);
    image.alt = `Grid of ${name} after ${count(grids[at])} images`;
    $("reel-value").value = `${count(grids[at])} images`;
    image.onload = () => enlarge(image, image.parentElement.clientWidth);
    for (const near of [at + 1, at - 1]) {
      if (near in grids) new Image().src = address(near);
    }
  }
  showCurves();
}

function showCurves() {
  const { panels, columns, floors, images, grids } = watch.state;
  $("curves").replaceChildren(
    ...panels.map((names) => panel(names, columns, floors, images, grids[watch.at])),
  );
}

const short = (value) => {
  for (const [unit, end] of [[1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= unit) return `${Number((value / unit).toPrecision(3))}${end}`;
  }
  return String(Number(value.toPrecision(2)));
};

function panel(names, columns, floors, images, now) {
  const svg = (tag, values, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(values)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const [left, top, width, height] = [46, 6, 404, 132];
  const seen = columns.images_seen;
  const most = Math.max(...seen, now || 0, 1);
  const values = names.flatMap((name) => columns[name]).filter((value) => value !== null);
  const logarithmic = Math.min(...values) > 0 && Math.max(...values) > 100 * Math.min(...values); // as in curves.png
  // The floor of a distance may be below 0, which no logarithm shows: then it is told, not drawn.
  const lines = names.map((name) => floors[name]).filter((floor) => floor > 0 || (floor !== undefined && !logarithmic));
  let [low, high] = [Math.min(...values, ...lines), Math.max(...values, ...lines)];
  const scale = logarithmic ? Math.log10 : (value) => value;
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const x = (value) => left + (width * value) / most;
  const y = (value) => top + height * (1 - (scale(value) - scale(low)) / (scale(high) - scale(low)));
  const root = svg("svg", { viewBox: `0 0 ${left + width + 6} ${top + height + 20}`, role: "img" });
  root.setAttribute("aria-label", `${names.join(", ")} against images seen`);
  for (const share of [0, 0.5, 1]) {
    const value = logarithmic ? 10 ** (scale(low) + share * (scale(high) - scale(low))) : low + share * (high - low);
    root.append(svg("line", { class: "grid", x1: left, x2: left + width, y1: y(value), y2: y(value) }));
    root.append(svg("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const share of [0, 0.5, 1]) {
    const anchor = ["start", "middle", "end"][share * 2];
    root.append(svg("text", { x: x(share * most), y: top + height + 16, "text-anchor": anchor }, short(share * most)));
  }
  if (now !== undefined) root.append(svg("line", { class: "now", x1: x(now), x2: x(now), y1: top, y2: top + height }));
  const legend = make("figcaption");
  names.forEach((name, index) => {
    const color = COLORS[index % COLORS.length];
    // A metric is not in every row: its points are joined all the same.
    const points = columns[name].flatMap((value, row) => (value === null ? [] : [[x(seen[row]), y(value)]]));
    const steps = points.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`);
    root.append(svg("path", { d: `M${steps.join("L")}`, stroke: color }));
    if (points.length < 40) {
      for (const [cx, cy] of points) root.append(svg("circle", { cx, cy, r: 2, fill: color }));
    }
    const dash = make("i");
    dash.style.background = color;
    legend.append(make("span", {}, dash, name.replaceAll("_", " ")));
    if (floors[name] === undefined) return;
    legend.append(make("span", { textContent: `floor ${short(floors[name])}` }));
    if (lines.includes(floors[name])) {
      root.append(svg("line", { class: "floor", x1: left, x2: left + width, y1: y(floors[name]), y2: y(floors[name]) }));
    }
  });
  return make("figure", {}, legend, root);
}

$("reel").addEventListener("input", () => showGrid(Number($("reel").value)));
$("play").addEventListener("click", () => {
  const stop = () => {
    clearInterval(watch.playing);
    watch.playing = null;
    $("play").textContent = "Play";
  };
  if (watch.playing) return stop();
  if (watch.at >= watch.state.grids.length - 1) showGrid(0);
  $("play").textContent = "Pause";
  watch.playing = setInterval(() => {
    if (page.view !== "training" || watch.at >= watch.state.grids.length - 1) return stop();
    showGrid(watch.at + 1);
  }, 350);
});

// ---- Which model, and which view of it.

function options(node, values) {
  node.replaceChildren(...values.map(([value, text]) => make("option", { value, textContent: text })));
}

async function openPreset() {
  page.preset = null;
  const place = page.place;
  const preset = await json(`/kgan/presets/${place}`);
  if (page.place !== place) return;
  page.preset = preset;
  document.body.classList.toggle("pixels", preset.pixels);
  Object.assign(page, { first: 0, start: 0, end: 7, next: "start", frame: 0, mix: null });
  for (const place of Object.keys(asked)) only(place);
  // Nothing of the model before stays beside the name of this one.
  for (const box of document.querySelectorAll(".code, #wall")) box.replaceChildren();
  for (const canvas of document.querySelectorAll("canvas")) canvas.width = 0;
  $("big").removeAttribute("aria-label");
  $("caption").textContent = "";
  showCard();
  if (preset.directions) {
    options($("direction"), preset.directions.map((name) => [name, name.replaceAll("_", " ")]));
    $("direction-control").hidden = preset.directions.length < 2;
    $("go").textContent = "Translate";
  } else {
    const classes = preset.classes || [];
    options($("class"), [["", "any"], ...classes.map((name, index) => [index, name])]);
    options($("photo-class"), [["", "the best of all"], ...classes.map((name, index) => [index, name])]);
    $("class-control").hidden = $("photo-class-control").hidden = !preset.classes;
    $("truncation-control").hidden = !preset.styles;
    $("truncation").max = preset.truncations.length - 1;
    $("truncation").value = preset.truncations.indexOf(1);
    $("truncation-value").value = "1.00";
    $("way").max = preset.steps;
    $("way").value = 0;
    const larger = preset.shape[1] <= 32 ? 8 : 4;
    options($("scale"), [1, 2, 4, 8, 16].map((times) => [times, `${times * preset.shape[1]} px`]));
    $("scale").value = larger;
    $("mixes").replaceChildren(
      ...preset.layers.map((name) => {
        const button = make("button", { type: "button" }, make("canvas", { width: 0 }), name);
        button.addEventListener("click", () => {
          page.mix = name;
          safely(showBig)();
          for (const other of $("mixes").children) other.setAttribute("aria-pressed", String(other === button));
        });
        return button;
      }),
    );
    $("go").textContent = "Find the closest";
  }
  for (const id of ["steps-control", "photo-class-control"]) {
    if (preset.directions) $(id).hidden = true;
    else if (id === "steps-control") $(id).hidden = false;
  }
  if (!preset.directions) $("direction-control").hidden = true;
  page.photo = null;
  for (const id of ["framing", "given", "made", "made-picture"]) $(id).hidden = true;
  $("made-hint").hidden = false;
  const trained = `Trained on: ${preset.lines.Data}`;
  $("made-hint").textContent = preset.directions
    ? `What the model makes of your picture will stand here. ${trained}`
    : `The model looks for the picture of its own that is closest to yours: some ten seconds, or half a minute. It will stand here, beside yours. ${trained}`;
  $("go").disabled = true;
  empty();
}

function possible() {
  const views = page.run ? ["training"] : [];
  const preset = page.preset;
  if (!preset) return page.run ? ["training", "explore"] : [];
  if (!preset.directions) views.push("explore");
  if (preset.directions || preset.photo) views.push("photo");
  return [...views, "card"];
}

function showTabs() {
  const here = $("views").contains(document.activeElement);
  $("views").replaceChildren(
    ...possible().map((view) => {
      const text = view === "photo" && page.preset.directions ? "Translate" : VIEWS[view];
      const tab = make("button", { type: "button", textContent: text });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-selected", String(view === page.view));
      tab.addEventListener("click", () => show(view));
      return tab;
    }),
  );
  if (here) $("views").querySelector("[aria-selected=true]").focus(); // for the keyboard to go on
}

const show = safely(async (view) => {
  if (view !== "training" && !page.preset) await openPreset(); // of a run, as it is now
  if (!possible().includes(view)) view = possible()[view === "explore" && page.run ? 1 : 0];
  page.view = view;
  for (const name of Object.keys(VIEWS)) $(name).hidden = name !== view;
  showTabs();
  location.replace(`#${encodeURIComponent(page.entries[page.place].name)}/${view}`);
  if (view === "explore") await refresh();
  if (view === "training") await follow();
});

const open = safely(async (place, view) => {
  page.place = place;
  page.run = page.entries[place].run;
  page.preset = null;
  Object.assign(watch, { state: null, at: -1, text: "" });
  $("entry").value = place;
  document.title = `${page.entries[place].name} · kgan`;
  for (const name of Object.keys(VIEWS)) $(name).hidden = true;
  $("views").replaceChildren();
  if (!page.run) await openPreset();
  if (page.place !== place) return; // another was chosen meanwhile
  await show(view || possible()[0]);
});

$("views").addEventListener("keydown", (event) => {
  const tabs = [...$("views").children];
  const to = tabs[tabs.indexOf(document.activeElement) + { ArrowLeft: -1, ArrowRight: 1 }[event.key]];
  if (to) to.focus();
});
$("entry").addEventListener("change", () => open(Number($("entry").value)));

const wide = window.matchMedia("(min-width: 40rem)");
page.wide = wide.matches;
page.number = wide.matches ? 24 : 12;
let resizing;
window.addEventListener("resize", () => {
  page.wide = wide.matches;
  clearTimeout(resizing);
  resizing = setTimeout(() => page.view === "explore" && refresh(), 150);
});

safely(async () => {
  // The style sheet says how much room there is.
  if (document.readyState !== "complete") await new Promise((done) => addEventListener("load", done));
  page.entries = await json("/kgan/entries");
  if (!page.entries.length) throw new Error("There is no preset here: kgan ui DIR shows one of yours.");
  options($("entry"), page.entries.map((entry, index) => [index, entry.run ? `${entry.name} (run)` : entry.name]));
  const [name, view] = location.hash.slice(1).split("/");
  const named = page.entries.findIndex((entry) => entry.name === decodeURIComponent(name));
  const first = page.entries.findIndex((entry) => entry.name === "stylegan-lite-celeba");
  await open(named >= 0 ? named : Math.max(0, first), view);
})();
