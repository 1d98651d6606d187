// <rowhooks-buttons table="dcim.device" key="42">: see docs/embedding.md.
const TEXTS = { confirm: "Press {label}?", press: "Press", cancel: "Cancel", pressed: "{label}: run {id} goes on",
	finished: "{label}: {status} {message}", error: "{message}" };
const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`#all { display: flex; flex-wrap: wrap; gap: .5em } small, label, input, select, textarea { display: block }
details { position: relative } details > div { position: absolute; z-index: 9; display: grid; width: max-content;
background: Canvas; border: 1px solid } button, summary { min-height: 24px } [aria-disabled=true] { opacity: .6 }`);

// Children are elements or text: nothing is ever read as HTML.
const make = (name, properties, ...children) => {
	const element = Object.assign(document.createElement(name), properties);
	element.append(...children);
	return element;
};

// read() returns JSON text: no digit is lost. What is left out is nothing.
const makeField = ({ name, title, description, kind, options, value, is_required, empty }) => {
	const json = JSON.stringify, text = (one) => one.trim ? one : json(one);
	const choices = options?.map((one) => make("option", { value: json(one) }, text(one)));
	const parsed = (given) => {
		try { return JSON.parse(given), given; } catch { throw { message: `${title}: JSON?` }; }
	};
	const [input, write] = {
		choice: () => [make("select", {}, make("option", { value: "" }), ...choices), (given) => given],
		json: () => [make("textarea"), parsed],
		number: () => [make("input", { type: kind, step: "any" }), (given) => given.length > 15 ? given : +given],
	}[kind]?.() ?? [make("input", { type: kind }), json];
	Object.assign(input, { name, part: "input", required: is_required });
	if (value !== null) input.value = options ? json(value) : text(value);
	const read = () => {
		const given = input.value ? write(input.value) : empty;
		return given === null ? [] : `${json(name)}:${given}`;
	};
	const label = make("label", { part: "field" }, title, is_required ? " *" : "", input, make("small", {}, description));
	return { read, label };
};

class RowhooksButtons extends HTMLElement {
	static observedAttributes = ["table", "key", "src", "token"];
	#root = this.attachShadow({ mode: "open" });
	#all = make("div", { id: "all" });
	#status = make("p", { part: "status", role: "status" });
	#turn = 0; // an older answer is not shown
	#keys = {}; // of presses that have no answer
	#busy = false;
	#headers;

	connectedCallback() {
		this.#root.adoptedStyleSheets = [STYLE];
		this.#root.append(this.#all, this.#status);
		this.load();
	}
	attributeChangedCallback() { this.#keys = {}; this.load(); }

	async load() {
		const turn = ++this.#turn;
		await null; // more attributes may change
		if (turn !== this.#turn || !this.isConnected) return;
		try {
			const found = await this.#ask(`row_buttons?${new URLSearchParams(this.#row())}`);
			if (turn === this.#turn) this.#show(found);
		} catch (error) {
			this.#say("error", error, error);
		}
	}

	#row() { return { object_table: this.getAttribute("table"), object_text: this.getAttribute("key") }; }

	async #ask(path, body) {
		const token = this.getAttribute("token"), src = this.getAttribute("src")?.replace(/\/?$/, "/");
		const headers = { "X-Rowhooks": "1", ...(body && { ...this.#headers, "Content-Type": "application/json" }) };
		if (token) headers.Authorization = `Bearer ${token}`;
		const base = src ? new URL(src, document.baseURI) : import.meta.url;
		const answer = await fetch(new URL(path, base), { method: body ? "POST" : "GET", body, headers });
		const content = await answer.json().catch(() => null), { status } = answer;
		if (answer.ok && content !== null) return content;
		throw { message: `HTTP ${status}`, ...content, status };
	}

	#show({ groups, headers }) {
		const focused = this.#root.activeElement?.id;
		this.#headers = headers;
		const shown = groups.flatMap((one) => one.name ? this.#menu(one) : one.buttons.map((it) => this.#button(it)));
		this.#all.replaceChildren(...(shown.length ? shown : [make("slot", { name: "empty" })]));
		if (focused) this.#root.getElementById(focused)?.focus();
	}

	#button(one, leave) {
		// The second click of a double click counts for nothing.
		const onclick = (event) => one.disabled || event.detail > 1 || this.#start(one, leave?.() ?? event.currentTarget);
		const properties = { id: `button ${one.name}`, part: `button ${one.button_class}`, onclick, ariaDisabled: one.disabled };
		return make("button", properties, one.label, make("small", { part: "reason" }, one.reason));
	}

	#menu({ name, buttons }) {
		const opener = make("summary", { id: `group ${name}`, part: "group" }, name);
		const leave = () => {
			menu.open = false;
			opener.focus();
			return opener;
		};
		const onkeydown = ({ key }) => key !== "Escape" || leave();
		const items = buttons.map((one) => this.#button(one, leave));
		const menu = make("details", { onkeydown }, opener, make("div", { part: "menu" }, ...items));
		menu.addEventListener("focusout", (event) => menu.contains(event.relatedTarget) || (menu.open = false));
		return menu;
	}

	#start(one, opener) {
		const fields = one.input_fields.map(makeField);
		if (!one.confirmation && !fields.length) return this.#press(one, fields);
		const onclose = () => {
			this.#root.append(this.#status);
			dialog.remove();
			opener.focus();
		};
		const onsubmit = async (event) => {
			event.preventDefault();
			if (await this.#press(one, fields)) dialog.close();
		};
		const title = one.confirmation ? this.#text("confirm", one) : one.label, onclick = () => dialog.close();
		const dialog = make("dialog", { part: "dialog", ariaLabel: title, onclose }, make("form", { part: "form", onsubmit },
			make("h2", { part: "title" }, title), ...fields.map((field) => field.label),
			make("button", { part: "press" }, this.#text("press", one)),
			make("button", { part: "cancel", type: "button", onclick }, this.#text("cancel", one)), this.#status));
		this.#root.append(dialog);
		dialog.showModal();
	}

	async #press(one, fields) {
		if (this.#busy) return;
		this.#busy = true;
		const button = one.name;
		try {
			const given = fields.flatMap((field) => field.read()), inputs = given.length ? `"inputs":{${given}},` : "";
			const idempotency_key = this.#keys[button] ??= crypto.getRandomValues(new Uint32Array(4)).join();
			const rest = JSON.stringify({ button, ...this.#row(), idempotency_key }).slice(1);
			const answer = await this.#ask("press", `{${inputs}${rest}`), id = answer.id ?? answer;
			delete this.#keys[button];
			this.#say("pressed", { ...one, id }, { id, button });
			this.#follow(id, one);
			return true;
		} catch (error) {
			// Without an answer, the next click sends the same press again.
			if (error.status < 500) delete this.#keys[button];
			this.#say("error", error, error);
		} finally {
			this.#busy = false;
		}
	}

	async #follow(id, one) {
		for (let pause = 300; this.isConnected; pause = Math.min(pause * 1.5, 5000)) {
			try {
				const { status, is_finished, message } = await this.#ask(`run_state?id=${id}`);
				if (is_finished) {
					const name = status.toLowerCase();
					this.#say(name, { ...one, status: name, message }, { id, status, button: one.name }, "finished");
					return this.load();
				}
			} catch (error) {
				this.#say("error", error, error);
				if ([200, 404].includes(error.status)) return;
			}
			await new Promise((done) => setTimeout(done, pause));
		}
	}

	#text(name, values) {
		const text = this.getAttribute(`text-${name}`) ?? TEXTS[name] ?? TEXTS.finished;
		return text.replace(/{(\w+)}/g, (_, key) => values[key] ?? "").trim();
	}

	#say(name, values, detail, event = name) {
		this.#status.part = `status ${name}`;
		this.#status.textContent = this.#text(name, values);
		this.dispatchEvent(new CustomEvent(`rowhooks:${event}`, { detail, bubbles: true, composed: true }));
	}
}
customElements.get("rowhooks-buttons") ?? customElements.define("rowhooks-buttons", RowhooksButtons);
