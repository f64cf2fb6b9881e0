// Portkey's gateway has no option for the address that it listens on, and takes every one of the
// machine's. It sends to whatever host a request names, so nobody else may reach it meanwhile.
import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, _host, ...rest) {
  return listen.call(this, port, "127.0.0.1", ...rest);
};
