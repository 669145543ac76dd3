// Checks of the page as it stands, in the browser; returns a sentence for each fault. Names, roles, landmarks,
// headings, contrast of every text (WCAG 2.2 AA), size of what can be pressed, and no sideways scrolling.
(() => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""} “${(e.textContent || "").trim().slice(0, 30)}”`;

  if (document.documentElement.lang !== "en") faults.push("the page has no language");
  if (!document.title) faults.push("the page has no title");
  for (const landmark of ["header", "nav[aria-label]", "main", "footer"]) {
    if (all(landmark).length !== 1) faults.push(`not exactly one ${landmark}`);
  }
  if (all("h1").length !== 1) faults.push("not exactly one h1");
  let level = 0;
  for (const heading of all("h1, h2, h3, h4").filter(shown)) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) faults.push(`heading level skipped at ${name(heading)}`);
    level = next;
  }
  const ids = all("[id]").map((element) => element.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => faults.push(`id ${id} is there twice`));
  for (const attribute of ["aria-labelledby", "aria-describedby", "for"]) {
    for (const element of all(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(/\s+/)) {
        if (!document.getElementById(id)) faults.push(`${attribute} of ${name(element)} leads nowhere`);
      }
    }
  }
  for (const field of all("input, select, textarea").filter(shown)) {
    if (!field.labels?.length && !field.ariaLabel) faults.push(`${name(field)} has no label`);
  }
  for (const control of all("a, button").filter(shown)) {
    const text = control.innerText.trim() || control.querySelector("img")?.alt || control.ariaLabel;
    if (!text) faults.push(`${name(control)} has no name`);
    const box = control.getBoundingClientRect();
    const inText = control.closest("p, li, h1, td, th") && control.tagName === "A";
    if (!inText && !control.matches(".skip") && (box.height < 24 || box.width < 24)) {
      faults.push(`${name(control)} is too small to press`);
    }
  }
  for (const image of all("img")) if (!image.hasAttribute("alt")) faults.push(`an image has no alt: ${image.src}`);

  // Colours as the browser paints them, through a canvas that understands every notation.
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const light = ([r, g, b]) => {
    const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const contrast = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  let texts = 0;
  for (const element of all("body *").filter(shown)) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const style = getComputedStyle(element);
    const ratio = contrast(rgba(style.color), behind(element));
    texts += 1;
    if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)} at ${name(element)}`);
  }
  if (texts < 5) faults.push("hardly any text was looked at");
  for (const field of all("input").filter(shown)) {
    const edge = contrast(rgba(getComputedStyle(field).borderColor), behind(field.parentElement));
    if (edge < 3) faults.push(`edge of ${name(field)} has contrast ${edge.toFixed(2)}`);
    const hint = contrast(rgba(getComputedStyle(field, "::placeholder").color), behind(field));
    if (hint < 4.5) faults.push(`placeholder of ${name(field)} has contrast ${hint.toFixed(2)}`);
  }
  for (const control of all("a, button, input, select, summary").filter(shown)) {
    control.focus();
    if (control.matches(":focus-visible") && getComputedStyle(control).outlineStyle === "none") {
      faults.push(`${name(control)} does not show the focus`);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page scrolls sideways");
  return faults;
})()
