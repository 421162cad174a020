// The charts of the progress page, by uPlot. The figures stand in tables too.
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const HALF_DAY = 43_200;

function plot(figure) {
  const names = JSON.parse(figure.dataset.names);
  const data = JSON.parse(figure.dataset.series);
  const isScore = figure.dataset.kind === "best";
  const value = (self, number) => (number === null ? "–" : isScore ? number.toFixed(3) : String(number));
  const axis = { stroke: style("--quiet"), grid: { stroke: style("--line") }, ticks: { stroke: style("--line") } };
  const dots = { show: data[0].length < 60, size: 7 };
  const bars = isScore ? undefined : uPlot.paths.bars({ size: [0.5, 40] });
  const options = {
    width: figure.clientWidth,
    height: 280,
    cursor: { y: false },
    scales: { x: { range: () => [data[0][0] - HALF_DAY, data[0].at(-1) + HALF_DAY] }, y: { range: isScore ? [0, 1] : (self, low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [axis, { ...axis, size: 44 }],
    series: [
      { label: "When" },
      { label: names[0], stroke: style("--accent"), fill: isScore ? undefined : style("--soft"), width: 2, points: isScore ? { ...dots, fill: style("--accent") } : { show: false }, paths: bars, value },
      { label: names[1], stroke: style("--anchor"), width: 2, dash: [6, 5], points: { ...dots, show: dots.show || !isScore }, paths: isScore ? undefined : () => null, value, spanGaps: true },
    ],
  };
  figure.replaceChildren();
  return new uPlot(options, data, figure);
}

const figures = [...document.querySelectorAll(".chart")];
let plots = figures.map(plot);
addEventListener("resize", () => {
  plots.forEach((chart, place) => chart.setSize({ width: figures[place].clientWidth, height: 280 }));
});
document.addEventListener("theme", () => {
  plots.forEach((chart) => chart.destroy());
  plots = figures.map(plot);
});
