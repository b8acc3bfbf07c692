"use strict";
// A page that kinet writes: a recording, those that match it, and both to be heard at one moment of
// the music. All that is shown was written into the page; names become text, never markup.

const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const COLOURS = ["#e4572e", "#2a9d5c", "#9b5de5", "#e0a100", "#00a5cf", "#d6459b", "#7a8f00", "#8c6d4f"];
const DRIFT = 0.35; // seconds that two recordings may be apart before one is moved

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, left] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const padded = String(left).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${padded}` : `${minutes}:${padded}`;
}

/** One of the two recordings: its sound, which may run at another speed than it was played. */
class Deck {
  constructor(index) {
    this.index = index;
    this.audio = element(`sound-${index}`);
    this.slider = element(`time-${index}`);
    this.name = element(`name-${index}`);
    this.clock = element(`clock-${index}`);
    this.strip = element(`strip-${index}`);
    this.place = 0;
  }

  /** `rotation`: by so many pitch classes its HPCP are rotated downwards. */
  load(recording, rotation) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.recording = recording;
    this.rotation = rotation;
    this.hpcp = bytes(recording.hpcp);
    this.speed = recording.speed;
    this.url = recording.sound && URL.createObjectURL(new Blob([bytes(recording.sound)], { type: "audio/mpeg" }));
    if (this.url) this.audio.src = this.url;
    else this.audio.removeAttribute("src");
    this.name.textContent = `${["First", "Second"][this.index]}: ${recording.title}`;
    this.slider.max = Math.ceil(recording.seconds);
    this.picture = stripPicture(this.hpcp, rotation);
    this.time = 0;
  }

  get hasSound() { return Boolean(this.url); }
  get isPlaying() { return this.hasSound && !this.audio.paused && !this.audio.ended; }

  /** Seconds from the beginning of the recording. */
  get time() { return this.hasSound ? this.audio.currentTime * this.speed : this.place; }
  set time(seconds) {
    this.place = Math.min(Math.max(0, seconds), this.recording.seconds);
    if (this.hasSound) this.audio.currentTime = this.place / this.speed;
  }

  /** Tempo 1 is its own; `isInKey` keeps the pitch of the file, which is the key of the first. */
  play(tempo, isInKey) {
    this.audio.preservesPitch = isInKey;
    this.audio.playbackRate = tempo / this.speed;
    return this.audio.play();
  }

  pause() { this.audio.pause(); }
}

/** Which moment of one recording is which of the other: along a passage, and on beyond its ends. */
class Mapping {
  constructor(match) {
    this.lines = match.passages.map((passage) => passage.points);
    if (!this.lines.length) this.lines = [[[0, 0]]];
    this.ratio = match.tempoRatio;
  }

  /** The time in the other recording; `from` is 0 or 1. */
  other(from, time) {
    const to = 1 - from;
    const slope = from === 0 ? 1 / this.ratio : this.ratio;
    const outside = (line) => Math.max(line[0][from] - time, time - line[line.length - 1][from], 0);
    const line = this.lines.reduce((best, each) => (outside(each) < outside(best) ? each : best));
    const after = line.findIndex((point) => point[from] > time);
    if (after <= 0) {
      const end = after === 0 ? line[0] : line[line.length - 1];
      return end[to] + (time - end[from]) * slope;
    }
    const [start, end] = [line[after - 1], line[after]];
    const share = (time - start[from]) / (end[from] - start[from]);
    return start[to] + share * (end[to] - start[to]);
  }
}

const decks = [new Deck(0), new Deck(1)];
let match, mapping, isOnPath, anchor; // of the match that is shown
let matrixPicture;

/** Which recordings are heard. */
function heard() {
  const value = document.querySelector("input[name=hear]:checked").value;
  return (value === "both" ? [0, 1] : [Number(value)]).filter((index) => decks[index].hasSound);
}

/** The moment of the other recording, from a place that was chosen off the passages too. */
function partner(from, time) {
  if (isOnPath) return mapping.other(from, time);
  const slope = from === 0 ? 1 / match.tempoRatio : match.tempoRatio;
  return anchor[1 - from] + (time - anchor[from]) * slope;
}

function place(first, second) {
  decks[0].time = first;
  decks[1].time = second;
  anchor = [first, second];
  isOnPath = Math.abs(mapping.other(0, first) - second) < 2;
  draw();
}

/** Put one recording at a moment, and the other at the same one of the music. */
function placeBy(index, time) {
  const other = mapping.other(index, time);
  place(...(index === 0 ? [time, other] : [other, time]));
}

async function play() {
  const isMatched = element("matched").checked;
  const playing = heard();
  decks.forEach((deck, index) => playing.includes(index) || deck.pause());
  try {
    await Promise.all(playing.map((index) => decks[index].play(index && isMatched ? 1 / match.tempoRatio : 1, index === 0 || isMatched)));
  } catch (error) {
    if (error.name !== "AbortError") element("status").textContent = `This browser cannot play it: ${error.message}`;
  }
  showPlaying();
}

function pause() {
  decks.forEach((deck) => deck.pause());
  showPlaying();
}

function showPlaying() {
  element("play").textContent = decks.some((deck) => deck.isPlaying) ? "Pause" : "Play";
}

/** What is heard from now on goes on at the moment at which the other one is. */
function hearInstead() {
  const leading = decks.findIndex((deck) => deck.isPlaying);
  if (leading < 0) return;
  const time = decks[leading].time;
  decks[1 - leading].time = partner(leading, time);
  play();
}

function jump() {
  const now = heard();
  const next = now.length === 1 ? 1 - now[0] : 1;
  document.querySelector(`input[name=hear][value="${next}"]`).checked = true;
  if (decks.some((deck) => deck.isPlaying)) hearInstead();
}

/** Of two that play at once, the second is moved where it is too far from the first. */
function keepTogether() {
  if (!decks.every((deck) => deck.isPlaying) || decks[1].audio.seeking) return;
  const wanted = partner(0, decks[0].time);
  if (wanted > 0 && Math.abs(decks[1].time - wanted) > DRIFT) decks[1].time = wanted;
}

function colourOf(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** A picture of values 0 to 255, from the colour of the paper to that of the ink. */
function picture(width, height, valueAt) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const [paper, ink] = [colourOf("--paper"), colourOf("--ink")];
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 4) {
      const share = valueAt(x, y) / 255;
      for (let c = 0; c < 3; c += 1) image.data[at + c] = paper[c] + share * (ink[c] - paper[c]);
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function stripPicture(hpcp, rotation) {
  return picture(hpcp.length / 12, 12, (x, y) => hpcp[x * 12 + ((11 - y + rotation + 12) % 12)]);
}

/** Fit the pixels of a canvas to its place; gives its context, and width and height of the place. */
function prepared(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return { context, width, height };
}

function drawStrip(deck) {
  const { context, width, height } = prepared(deck.strip);
  context.imageSmoothingEnabled = false;
  context.drawImage(deck.picture, 0, 0, width, height);
  context.fillStyle = COLOURS[0];
  context.fillRect((deck.time / deck.recording.seconds) * width - 1, 0, 2, height);
}

/** Minutes along both axes, at the first of these steps that leaves no more than six marks. */
function drawTimes(context, width, height) {
  const length = Math.max(...decks.map((deck) => deck.recording.seconds));
  const step = [5, 10, 20, 30, 60, 120, 300, 600, 1200].find((each) => length / each <= 6) || 3600;
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 3;
  context.strokeStyle = `rgb(${colourOf("--paper")})`;
  context.fillStyle = `rgb(${colourOf("--soft")})`;
  decks.forEach((deck, index) => {
    for (let time = step; time < 0.97 * deck.recording.seconds; time += step) {
      const share = time / deck.recording.seconds;
      const at = index === 0 ? [share * width - 12, height - 4] : [4, (1 - share) * height + 4];
      context.strokeText(clock(time), ...at);
      context.fillText(clock(time), ...at);
    }
  });
}

function drawMatrix() {
  const { context, width, height } = prepared(element("matrix"));
  const x = (time) => (time / decks[0].recording.seconds) * width;
  const y = (time) => height - (time / decks[1].recording.seconds) * height;
  // Each moment stands for the vectors that follow it; the picture ends before the recordings do.
  const [first, last] = [match.matrix.from, match.matrix.to];
  context.fillStyle = `rgb(${colourOf("--paper")})`;
  context.fillRect(0, 0, width, height);
  context.drawImage(matrixPicture, x(first), y(last[1]), x(last[0]) - x(first), y(first) - y(last[1]));
  drawTimes(context, width, height);
  context.lineWidth = 3;
  match.passages.forEach((passage, number) => {
    context.strokeStyle = COLOURS[number % COLOURS.length];
    context.beginPath();
    passage.points.forEach((point) => context.lineTo(x(point[0]), y(point[1])));
    context.stroke();
  });
  const [here, there] = [x(decks[0].time), y(decks[1].time)];
  context.strokeStyle = context.fillStyle = `rgb(${colourOf("--accent")})`;
  context.lineWidth = 1;
  context.strokeRect(here, -1, 0, height + 2);
  context.strokeRect(-1, there, width + 2, 0);
  context.beginPath();
  context.arc(here, there, 6, 0, 2 * Math.PI);
  context.fill();
}

function draw() {
  decks.forEach((deck) => {
    deck.slider.value = deck.time;
    deck.slider.setAttribute("aria-valuetext", clock(deck.time));
    deck.clock.textContent = `${clock(deck.time)} / ${clock(deck.recording.seconds)}`;
    drawStrip(deck);
  });
  drawMatrix();
}

function paint() {
  decks.forEach((deck) => { deck.picture = stripPicture(deck.hpcp, deck.rotation); });
  const { columns, rows, values } = match.matrix;
  const cells = (match.matrix.cells ??= bytes(values));
  matrixPicture = picture(columns, rows, (x, y) => cells[x * rows + (rows - 1 - y)]);
  draw();
}

function button(text, colour, action) {
  const item = document.createElement("li");
  const made = document.createElement("button");
  made.type = "button";
  if (colour) {
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = colour;
    made.append(swatch);
  }
  made.append(text);
  made.addEventListener("click", action);
  item.append(made);
  return item;
}

function semitones(count) {
  if (count === 0) return "in the same key";
  const size = Math.abs(count);
  return `${size} semitone${size > 1 ? "s" : ""} ${count > 0 ? "higher" : "lower"}`;
}

function show(index) {
  pause();
  match = data.matches[index];
  mapping = new Mapping(match);
  decks[0].load(data.recordings[0], 0);
  decks[1].load(data.recordings[match.recording], match.transposition);
  const title = decks[1].recording.title;
  element("other").textContent = title;
  element("summary").textContent =
    `Score ${match.score.toFixed(2)} of 1. The second is ${semitones(match.transposition)}, at ` +
    `${match.tempoRatio.toFixed(2)} times the tempo of the first.`;
  element("passages").replaceChildren(...match.passages.map((passage, number) =>
    button(passage.where, COLOURS[number % COLOURS.length], () => {
      place(...passage.points[0]);
      play();
    })));
  [...element("matches").querySelectorAll("button")].forEach((each, at) => each.setAttribute("aria-current", at === index));
  const silent = decks.filter((deck) => !deck.hasSound).map((deck) => deck.recording.title);
  element("status").textContent = silent.length ? `No sound of: ${silent.join(", ")}` : "";
  ["play", "jump"].forEach((id) => { element(id).disabled = silent.length === 2; });
  paint();
  place(...(match.passages.length ? match.passages[0].points[0] : [0, 0]));
}

function listen() {
  const matrix = element("matrix");
  matrix.addEventListener("click", (event) => {
    const box = matrix.getBoundingClientRect();
    const [right, up] = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
    place(right * decks[0].recording.seconds, up * decks[1].recording.seconds);
    play();
  });
  matrix.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 1 : 5;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const move = moves[event.key];
    if (!move && event.key !== "Enter") return;
    event.preventDefault();
    if (!move) play();
    else {
      place(decks[0].time + move[0], decks[1].time + move[1]);
      element("status").textContent = `first ${clock(decks[0].time)}, second ${clock(decks[1].time)}`;
    }
  });
  decks.forEach((deck, index) => {
    deck.slider.addEventListener("input", () => placeBy(index, Number(deck.slider.value)));
    deck.strip.addEventListener("click", (event) => {
      placeBy(index, (event.offsetX / deck.strip.clientWidth) * deck.recording.seconds);
      play();
    });
    deck.audio.addEventListener("ended", pause);
    deck.audio.addEventListener("seeked", draw);
  });
  element("play").addEventListener("click", () => (decks.some((deck) => deck.isPlaying) ? pause() : play()));
  element("jump").addEventListener("click", jump);
  document.querySelectorAll("input[name=hear]").forEach((radio) => radio.addEventListener("change", hearInstead));
  element("matched").addEventListener("change", hearInstead);
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
}

function follow() {
  if (decks.some((deck) => deck.isPlaying)) {
    keepTogether();
    draw();
  }
  requestAnimationFrame(follow);
}

element("query").textContent = data.recordings[0].title;
element("pitches").textContent = `Strips: pitch classes of both in the key of the first, from ${data.pitches[0]} at the bottom to ${data.pitches[11]}.`;
element("ranking").hidden = data.matches.length < 2;
element("matches").append(...data.matches.map((each, index) =>
  button(`${index + 1}. ${data.recordings[each.recording].title} (${each.score.toFixed(2)})`, null, () => show(index))));
listen();
show(0);
follow();
