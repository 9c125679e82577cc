// Draws the figures of a report; adds a search, dark and light, and downloads of figures and tables.
(function () {
  var root = document.documentElement;
  var settings = { responsive: true, displayModeBar: false, scrollZoom: false };
  var DARK = {
    "#1f2933": "#e6eaf0", "#52606d": "#a9b4c0", "#e4e7eb": "#334050", "#ffffff": "#18202a", "#dde1e6": "#2c3743"
  };
  var draws = [];

  // A map brings its outlines, but Plotly fetches its own before it draws any, unless it has something by their name.
  window.PlotlyGeoAssets = window.PlotlyGeoAssets || { topojson: {} };
  window.PlotlyGeoAssets.topojson.world_110m = { type: "Topology", objects: {}, arcs: [] };

  function themed(value) {
    if (typeof value === "string") { return DARK[value] || value; }
    if (Array.isArray(value)) { return value.map(themed); }
    if (value === null || typeof value !== "object") { return value; }
    var out = {};
    Object.keys(value).forEach(function (key) { out[key] = key === "geojson" ? value[key] : themed(value[key]); });
    return out;
  }

  function button(text, label, act) {
    var made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  }

  function tools(named, choices) {
    var bar = document.createElement("div");
    bar.className = "tools";
    Object.keys(choices).forEach(function (text) {
      bar.appendChild(button(text, "Download " + named + " as " + text, choices[text]));
    });
    return bar;
  }

  function save(name, type, content) {
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: type }));
    link.download = name;
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  }

  // Figures

  document.querySelectorAll(".plot").forEach(function (plot) {
    var figures = JSON.parse(document.querySelector('[data-figures="' + plot.id + '"]').textContent);
    var select = document.querySelector('select[data-for="' + plot.id + '"]');
    var shown = Object.keys(figures)[0];
    function draw(light) {
      var figure = root.dataset.theme === "dark" && !light ? themed(figures[shown]) : figures[shown];
      return Plotly.react(plot, figure.data, figure.layout, settings).then(function () {
        plot.dataset.rendered = "yes";
      });
    }
    function take(format) {
      return function () {
        var name = plot.id + (shown ? "-" + shown : "");
        var size = { width: plot.clientWidth, height: plot.clientHeight, scale: format === "png" ? 2 : 1 };
        Plotly.downloadImage(plot, Object.assign({ format: format, filename: name }, size));
      };
    }
    draw(false);
    draws.push(draw);
    if (select) {
      select.addEventListener("change", function () { shown = select.value; draw(false); });
    }
    plot.closest("figure").appendChild(tools("the figure", { PNG: take("png"), SVG: take("svg") }));
  });
  window.addEventListener("beforeprint", function () { draws.forEach(function (draw) { draw(true); }); });
  window.addEventListener("afterprint", function () { draws.forEach(function (draw) { draw(false); }); });

  // Tables

  function rows(table) {
    return Array.from(table.querySelectorAll("tr")).map(function (row) {
      return Array.from(row.cells).map(function (cell) { return cell.textContent.replace(/\u00a0/g, " "); });
    });
  }

  function csv(cells) {
    function quoted(text) { return /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text; }
    return "\ufeff" + cells.map(function (row) { return row.map(quoted).join(","); }).join("\r\n") + "\r\n";
  }

  function number(text) {
    var plain = text.replace(/\u2212/g, "-");
    if (/^-?\d+(\.\d+)?(e-?\d+)?$/i.test(plain)) { return { value: Number(plain), style: 0 }; }
    var percent = /^([+-]?\d+(?:\.\d+)?(?:e-?\d+)?) %$/i.exec(plain);
    return percent ? { value: Number(percent[1]) / 100, style: 1 } : null;
  }

  function xml(text) {
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function sheet(cells) {
    var body = cells.map(function (row) {
      return "<row>" + row.map(function (text) {
        var found = number(text);
        return found ? '<c s="' + found.style + '"><v>' + found.value + "</v></c>"
          : '<c t="inlineStr"><is><t xml:space="preserve">' + xml(text) + "</t></is></c>";
      }).join("") + "</row>";
    }).join("");
    return '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>' + body +
      "</sheetData></worksheet>";
  }

  function crc(bytes) {
    var sum = -1;
    for (var i = 0; i < bytes.length; i++) {
      sum ^= bytes[i];
      for (var bit = 0; bit < 8; bit++) { sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0); }
    }
    return ~sum >>> 0;
  }

  function packed(numbers) {
    var bytes = [];
    numbers.forEach(function (of) {
      for (var k = 0; k < of[1]; k++) { bytes.push((of[0] >>> (8 * k)) & 255); }
    });
    return new Uint8Array(bytes);
  }

  // A zip archive whose files are stored as they are.
  function zip(files) {
    var parts = [], index = [], at = 0;
    Object.keys(files).forEach(function (name) {
      var path = new TextEncoder().encode(name), data = new TextEncoder().encode(files[name]);
      var about = [[20, 2], [0, 2], [0, 2], [0, 2], [33, 2], [crc(data), 4], [data.length, 4], [data.length, 4],
        [path.length, 2], [0, 2]];
      var head = packed([[0x04034b50, 4]].concat(about));
      index.push(packed([[0x02014b50, 4], [20, 2]].concat(about, [[0, 2], [0, 2], [0, 2], [0, 4], [at, 4]])), path);
      parts.push(head, path, data);
      at += head.length + path.length + data.length;
    });
    var size = index.reduce(function (sum, of) { return sum + of.length; }, 0), n = index.length / 2;
    return parts.concat(index, [packed([[0x06054b50, 4], [0, 4], [n, 2], [n, 2], [size, 4], [at, 4], [0, 2]])]);
  }

  function workbook(cells) {
    var made = "http://schemas.openxmlformats.org/", first = '<?xml version="1.0" encoding="UTF-8"?>';
    var type = "application/vnd.openxmlformats-officedocument.spreadsheetml.";
    var main = made + "spreadsheetml/2006/main", of = made + "officeDocument/2006/relationships";
    function part(name, kind) {
      return '<Override PartName="/xl/' + name + '" ContentType="' + type + kind + '+xml"/>';
    }
    function relation(id, kind, target) {
      return '<Relationship Id="' + id + '" Type="' + of + "/" + kind + '" Target="' + target + '"/>';
    }
    function relations(inside) {
      return first + '<Relationships xmlns="' + made + 'package/2006/relationships">' + inside + "</Relationships>";
    }
    return zip({
      "[Content_Types].xml": first + '<Types xmlns="' + made + 'package/2006/content-types">' +
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>' +
        part("workbook.xml", "sheet.main") + part("worksheets/sheet1.xml", "worksheet") + part("styles.xml", "styles") +
        "</Types>",
      "_rels/.rels": relations(relation("r1", "officeDocument", "xl/workbook.xml")),
      "xl/workbook.xml": first + '<workbook xmlns="' + main + '" xmlns:r="' + of +
        '"><sheets><sheet name="table" sheetId="1" r:id="r1"/></sheets></workbook>',
      "xl/_rels/workbook.xml.rels": relations(
        relation("r1", "worksheet", "worksheets/sheet1.xml") + relation("r2", "styles", "styles.xml")
      ),
      "xl/styles.xml": first + '<styleSheet xmlns="' + main + '"><fonts count="1"><font/></fonts><fills count="1"><fill><patternFill/></fill>' +
        '</fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>' +
        '<cellXfs count="2"><xf/><xf numFmtId="10" applyNumberFormat="1"/></cellXfs>' +
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
      "xl/worksheets/sheet1.xml": first + sheet(cells)
    });
  }

  window.shockmesh = { csv: csv, workbook: workbook, rows: rows };

  document.querySelectorAll("main table").forEach(function (table) {
    var name = (table.caption ? table.caption.textContent : "table").toLowerCase().replace(/[^a-z0-9]+/g, "-");
    table.closest(".scroll").after(tools("the table", {
      CSV: function () { save(name + ".csv", "text/csv", csv(rows(table))); },
      Excel: function () {
        new Blob(workbook(rows(table))).arrayBuffer().then(function (bytes) {
          save(name + ".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", bytes);
        });
      }
    }));
  });

  // Search and theme

  var nav = document.querySelector("nav");
  var find = document.createElement("input");
  find.type = "search";
  find.className = "find";
  find.placeholder = "Search the tables";
  find.setAttribute("aria-label", "Search the tables; Enter shows a region in its figure");
  find.addEventListener("input", function () {
    var asked = find.value.trim().toLowerCase();
    document.querySelectorAll("main tbody tr").forEach(function (row) {
      var fits = row.textContent.toLowerCase().indexOf(asked) >= 0;
      row.hidden = !fits;
      if (fits && asked && row.closest("details")) { row.closest("details").open = true; }
    });
  });
  find.addEventListener("keydown", function (event) {
    var asked = find.value.trim().toLowerCase();
    if (event.key !== "Enter" || !asked) { return; }
    document.querySelectorAll("select").forEach(function (select) {
      var fits = Array.from(select.options).find(function (of) { return of.text.toLowerCase().indexOf(asked) === 0; });
      if (fits) { select.value = fits.value; select.dispatchEvent(new Event("change")); }
    });
  });
  var theme = button("", "Change between light and dark", function () {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("shockmesh-theme", root.dataset.theme); } catch (error) { theme.title = "not kept"; }
    label();
    draws.forEach(function (draw) { draw(false); });
  });
  function label() { theme.textContent = root.dataset.theme === "dark" ? "Light" : "Dark"; }
  theme.className = "theme";
  label();
  if (nav) { nav.appendChild(find); nav.appendChild(theme); }
})();
