import "./tokens.css";
import "./base.css";
import "./map.css";
