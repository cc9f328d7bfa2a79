import { engine } from "./engine";
import { serveCalls, type Port } from "./rpc";

serveCalls(self as unknown as Port, engine());
