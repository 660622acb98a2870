// Stick drawings of overlaid frames: drag to turn, wheel or + and - to zoom, arrow keys to turn.
(function () {
  const canvas = document.getElementById("view");
  const data = JSON.parse(document.getElementById("overlay").textContent);
  const context = canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.width, height = canvas.height;
  canvas.style.width = width + "px";
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const polar = { N: "#7a3fc0", O: "#c8283c", S: "#b89a00" };
  const carbon = { reference: [47, 93, 138], generated: [217, 102, 43] };
  let turn = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  let zoom = 1, held = null;

  let reach = 0.1;
  for (const set of Object.values(data)) {
    for (const frame of set.frames) {
      for (let k = 0; k < frame.length; k += 3) {
        reach = Math.max(reach, Math.hypot(frame[k], frame[k + 1], frame[k + 2]));
      }
    }
  }

  function times(a, b) {
    return a.map((row) => [0, 1, 2].map((j) => row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j]));
  }

  function rotate(dx, dy) {
    const cx = Math.cos(dy), sx = Math.sin(dy), cy = Math.cos(dx), sy = Math.sin(dx);
    const about = times([[1, 0, 0], [0, cx, -sx], [0, sx, cx]], [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]);
    turn = times(about, turn);
  }

  function sticks(name) {
    const set = data[name], found = [];
    set.frames.forEach((frame) => {
      const points = [];
      for (let k = 0; k < frame.length; k += 3) {
        points.push(turn.map((row) => row[0] * frame[k] + row[1] * frame[k + 1] + row[2] * frame[k + 2]));
      }
      for (const [i, j] of set.bonds) {
        const middle = points[i].map((x, k) => (x + points[j][k]) / 2);
        for (const [atom, from] of [[i, points[i]], [j, points[j]]]) {
          found.push({ from, to: middle, element: set.elements[atom], name });
        }
      }
    });
    return found;
  }

  function draw() {
    const scale = (0.46 * Math.min(width, height) * zoom) / reach;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const shown = ["reference", "generated"].filter((name) => document.getElementById("show-" + name).checked);
    const all = shown.flatMap(sticks);
    all.sort((a, b) => a.from[2] + a.to[2] - b.from[2] - b.to[2]);
    context.lineCap = "round";
    for (const stick of all) {
      const depth = (stick.from[2] + stick.to[2]) / (2 * reach);
      context.globalAlpha = Math.max(0.15, 0.6 + 0.4 * depth);
      context.strokeStyle = polar[stick.element] || "rgb(" + carbon[stick.name].join(",") + ")";
      context.lineWidth = 2.2 * Math.max(0.6, 1 + 0.5 * depth);
      context.beginPath();
      context.moveTo(width / 2 + scale * stick.from[0], height / 2 - scale * stick.from[1]);
      context.lineTo(width / 2 + scale * stick.to[0], height / 2 - scale * stick.to[1]);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  function zoomBy(factor) {
    zoom = Math.min(8, Math.max(0.3, zoom * factor));
  }

  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    rotate(0.01 * (event.clientX - held[0]), 0.01 * (event.clientY - held[1]));
    held = [event.clientX, event.clientY];
    draw();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-0.001 * event.deltaY));
    draw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (moves[event.key]) rotate(...moves[event.key]);
    else if (event.key === "+" || event.key === "-") zoomBy(event.key === "+" ? 1.15 : 1 / 1.15);
    else return;
    event.preventDefault();
    draw();
  });
  for (const name of ["reference", "generated"]) document.getElementById("show-" + name).addEventListener("change", draw);
  rotate(0.5, 0.3);
  draw();
})();
