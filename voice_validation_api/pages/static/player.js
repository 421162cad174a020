// Draws what a player plays: the outline at once, the spectrogram when asked for. A click seeks.
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class Player {
  constructor(box) {
    this.box = box;
    this.audio = box.querySelector("audio");
    this.canvas = box.querySelector("canvas");
    this.button = box.querySelector(".spectrogram");
    this.peaks = null;
    this.image = null;
    this.audio.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) if (other !== this.audio) other.pause();
      this.follow();
    });
    for (const kind of ["seeked", "ended", "pause"]) this.audio.addEventListener(kind, () => this.draw());
    this.canvas.addEventListener("click", (event) => this.seek(event));
    this.button.addEventListener("click", () => this.toggle());
    document.addEventListener("theme", () => this.draw());
    addEventListener("resize", () => this.draw());
  }

  async load() {
    const answer = await fetch(this.box.dataset.waveform);
    if (!answer.ok) return;
    this.peaks = (await answer.json()).peaks;
    this.canvas.hidden = false;
    this.button.hidden = false;
    this.draw();
  }

  get share() {
    return this.audio.duration ? this.audio.currentTime / this.audio.duration : 0;
  }

  follow() {
    if (this.audio.paused) return;
    this.draw();
    requestAnimationFrame(() => this.follow());
  }

  seek(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const go = () => { this.audio.currentTime = share * this.audio.duration; };
    if (this.audio.readyState > 0) go();
    else this.audio.addEventListener("loadedmetadata", go, { once: true });
    this.audio.play();
  }

  async toggle() {
    const on = this.button.getAttribute("aria-pressed") !== "true";
    this.button.setAttribute("aria-pressed", String(on));
    this.box.classList.toggle("is-spectrogram", on);
    if (on && !this.image) {
      this.button.disabled = true;
      try {
        this.image = await spectrogram(this.audio.src);
      } finally {
        this.button.disabled = false;
      }
    }
    this.draw();
  }

  draw() {
    if (!this.peaks) return;
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const paint = this.canvas.getContext("2d");
    paint.scale(ratio, ratio);
    const played = this.share * width;
    if (this.image && this.box.classList.contains("is-spectrogram")) {
      paint.drawImage(this.image, 0, 0, width, height);
      paint.fillStyle = "#fff";
      if (played) paint.fillRect(played - 1, 0, 2, height);
      return;
    }
    const step = width / this.peaks.length;
    this.peaks.forEach((peak, place) => {
      const tall = Math.max(2, (peak / 100) ** 0.6 * height);
      paint.fillStyle = place * step < played ? style("--accent") : style("--quiet");
      paint.globalAlpha = place * step < played ? 1 : 0.55;
      paint.fillRect(place * step, (height - tall) / 2, Math.max(1, step - 1), tall);
    });
  }
}

const WINDOW = 512;
const HIGHEST_HZ = 8000;
const RANGE_DB = 70;

// Short-time power spectrum, Hann window, 0 to 8 kHz, the loudest 70 dB. Light stays light in every
// kind of colour vision: the map only grows brighter.
async function spectrogram(address) {
  const bytes = await (await fetch(address)).arrayBuffer();
  const sound = await new OfflineAudioContext(1, 1, 2 * HIGHEST_HZ).decodeAudioData(bytes);
  const samples = sound.getChannelData(0);
  const columns = Math.max(1, Math.min(900, Math.floor((samples.length - WINDOW) / 128)));
  const hop = (samples.length - WINDOW) / columns;
  const bins = WINDOW / 2;
  const power = new Float32Array(columns * bins);
  const real = new Float32Array(WINDOW);
  const imaginary = new Float32Array(WINDOW);
  for (let column = 0; column < columns; column++) {
    const start = Math.max(0, Math.floor(column * hop));
    for (let n = 0; n < WINDOW; n++) {
      real[n] = (samples[start + n] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * n) / WINDOW));
      imaginary[n] = 0;
    }
    transform(real, imaginary);
    for (let bin = 0; bin < bins; bin++) {
      power[column * bins + bin] = 10 * Math.log10(real[bin] ** 2 + imaginary[bin] ** 2 + 1e-10);
    }
  }
  const top = power.reduce((most, value) => Math.max(most, value), -100);
  const image = new OffscreenCanvas(columns, bins);
  const paint = image.getContext("2d");
  const pixels = paint.createImageData(columns, bins);
  for (let column = 0; column < columns; column++) {
    for (let bin = 0; bin < bins; bin++) {
      const light = Math.min(1, Math.max(0, 1 + (power[column * bins + bin] - top) / RANGE_DB));
      const place = 4 * ((bins - 1 - bin) * columns + column);
      pixels.data[place] = 255 * light ** 2.2;
      pixels.data[place + 1] = 255 * light ** 1.4 * 0.9;
      pixels.data[place + 2] = 60 + 160 * Math.sin(light * Math.PI * 0.6);
      pixels.data[place + 3] = 255;
    }
  }
  paint.putImageData(pixels, 0, 0);
  return image;
}

// The fast Fourier transform of Cooley and Tukey (1965), in place.
function transform(real, imaginary) {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let length = 2; length <= size; length <<= 1) {
    const angle = (-2 * Math.PI) / length;
    for (let start = 0; start < size; start += length) {
      for (let k = 0; k < length / 2; k++) {
        const cos = Math.cos(angle * k);
        const sin = Math.sin(angle * k);
        const a = start + k;
        const b = a + length / 2;
        const re = real[b] * cos - imaginary[b] * sin;
        const im = real[b] * sin + imaginary[b] * cos;
        real[b] = real[a] - re;
        imaginary[b] = imaginary[a] - im;
        real[a] += re;
        imaginary[a] += im;
      }
    }
  }
}

const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    new Player(target).load();
  }
}, { rootMargin: "300px" });
for (const box of document.querySelectorAll(".player")) near.observe(box);
