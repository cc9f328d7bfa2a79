import { mount } from "svelte";

import { App } from "./ui";

mount(App, { target: document.getElementById("app") as HTMLElement });
