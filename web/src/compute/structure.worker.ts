import { serveCalls, type Port } from "./rpc";
import { structureCalls } from "./structuring";

serveCalls(self as unknown as Port, structureCalls());
