(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // Text, grid and hover boxes take the colours of the page; traces carry their own, which suit both papers.
  const themed = (layout) => {
    const look = { "modebar.bgcolor": "rgba(0,0,0,0)", "modebar.color": colour("--soft"),
                   "modebar.activecolor": colour("--accent"), "modebar.orientation": "v", "font.color": colour("--ink"), "hoverlabel.bgcolor": colour("--card"),
                   "hoverlabel.font.color": colour("--ink"), "hoverlabel.bordercolor": colour("--line") };
    for (const key of Object.keys(layout)) {
      if (!/^[xy]axis\d*$/.test(key)) continue;
      look[`${key}.gridcolor`] = colour("--grid");
      look[`${key}.linecolor`] = colour("--line");
      look[`${key}.tickcolor`] = colour("--line");
      look[`${key}.dividercolor`] = colour("--line");
      look[`${key}.tickfont.color`] = colour("--soft");
      look[`${key}.title.font.color`] = colour("--soft");
    }
    return look;
  };
  const apply = (layout, look) => {
    for (const [path, value] of Object.entries(look)) {
      const keys = path.split(".");
      let place = layout;
      for (const key of keys.slice(0, -1)) place = place[key] ??= {};
      place[keys.at(-1)] = value;
    }
    return layout;
  };
  const config = {
    responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    displayModeBar: window.matchMedia("(hover: hover)").matches ? "hover" : false,
  };

  const plots = [];
  for (const source of document.querySelectorAll("script[data-figure]")) {
    const figure = JSON.parse(source.textContent);
    const place = document.getElementById(source.dataset.figure);
    Plotly.newPlot(place, figure.data, apply(figure.layout, themed(figure.layout)), config)
      .then(() => place.setAttribute("data-drawn", "true"));
    plots.push([place, figure.layout]);
  }
  dark.addEventListener("change", () => {
    for (const [place, layout] of plots) Plotly.relayout(place, themed(layout));
  });
})();
