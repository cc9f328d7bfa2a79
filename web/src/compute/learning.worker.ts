import { learningCalls } from "./learning";
import { serveCalls, type Port } from "./rpc";

serveCalls(self as unknown as Port, learningCalls());
