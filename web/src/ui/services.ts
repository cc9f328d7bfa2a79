import { noServices } from "../session";

export const services = noServices;
