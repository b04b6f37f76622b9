'use strict';

// Runs before deployed code is loaded, in its process: connections lead to the twin alone, and other processes are out
// of reach. Node's permission model holds back files, processes, addons and workers. What is patched here could be got
// around by code that breaks into Node's internals; docs/twin.md says so.

const dgram = require('node:dgram');
const dns = require('node:dns');
const net = require('node:net');
const os = require('node:os');

function refused(what) {
  return Object.assign(new Error(`${what}: code that the twin runs can reach the twin alone, by TLS at port 443`), {
    code: 'ECONNREFUSED',
  });
}

// What a connection may ask for beside its target. An object of the caller's could answer differently when read twice.
const KEPT = ['allowHalfOpen', 'keepAlive', 'keepAliveInitialDelay', 'noDelay', 'onread', 'signal', 'timeout'];

// `line` is the native handle of the descriptor for calls, which is a local socket like those that code could make.
exports.build = (port, line) => {
  // Its native handle, which stands at a symbol.
  const datagrams = dgram.createSocket('udp4');
  const state = Object.getOwnPropertySymbols(datagrams).map((symbol) => datagrams[symbol]);
  const udp = state.find((value) => value?.handle).handle;
  datagrams.close();
  const { connect } = net.Socket.prototype;
  const normalize = net._normalizeArgs;
  net.Socket.prototype.connect = function (...args) {
    const [options, callback] = Array.isArray(args[0]) ? args[0] : normalize(args);
    const asked = Number(options.port);
    if (options.path || asked !== 443) {
      const error = refused(`${options.path ? 'a local socket' : `${options.host ?? 'localhost'}, port ${asked}`}`);
      this.connecting = true;
      process.nextTick(() => this.destroy(error));
      return this;
    }
    const kept = Object.fromEntries(KEPT.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));
    return Reflect.apply(connect, this, [{ ...kept, host: '127.0.0.1', port, family: 4 }, callback].filter(Boolean));
  };
  net.Server.prototype.listen = () => {
    throw refused('a port of its own');
  };
  dgram.createSocket = dgram.Socket = function Socket() {
    throw refused('a datagram');
  };

  // Every name is there: where a connection goes does not depend on it.
  const found = (options) => (options?.all ? [[{ address: '127.0.0.1', family: 4 }]] : ['127.0.0.1', 4]);
  dns.lookup = (name, options, callback) => process.nextTick(callback ?? options, null, ...found(callback && options));
  dns.promises.lookup = async (name, options) => (options?.all ? found(options)[0] : { address: '127.0.0.1', family: 4 });
  const deny = () => {
    throw refused('a name server');
  };
  const above = ({ prototype }) => [prototype, Object.getPrototypeOf(prototype)];
  for (const owner of [dns, dns.promises, ...above(dns.Resolver), ...above(dns.promises.Resolver)]) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      if (/^(resolve|reverse|lookupService|setServers)/.test(name)) owner[name] = deny;
    }
  }

  // The same once more at the native handles, which code can reach behind its sockets.
  const code = -os.constants.errno.ECONNREFUSED;
  const close = (handle, allowed = {}) => {
    const native = Object.getPrototypeOf(handle);
    for (const name of Object.getOwnPropertyNames(native)) {
      if (!/^(bind|connect|listen|open|query|getHostBy|send|setServers)/.test(name) || typeof native[name] !== 'function') continue;
      const own = native[name];
      native[name] = function (...args) {
        return allowed[name]?.(...args) ? Reflect.apply(own, this, args) : code;
      };
    }
  };
  const tcp = net._createServerHandle('127.0.0.1', 0, 4);
  tcp.close();
  close(tcp, { connect: (_, address, to) => address === '127.0.0.1' && to === port });
  // What the code prints goes through a descriptor that is opened late.
  close(line, { open: () => true });
  close(new dns.Resolver()._handle);
  close(udp);

  // These reach other processes of the same user, the twin among them.
  for (const name of ['kill', '_kill', '_debugProcess', 'execve', 'dlopen']) {
    if (process[name]) {
      process[name] = () => {
        throw Object.assign(new Error(`process.${name} is not there in code that the twin runs`), { code: 'ERR_ACCESS_DENIED' });
      };
    }
  }
  os.setPriority = process.kill;
  // Node's own loaders read the built-in modules by their exports as they were when loaded by `import`.
  require('node:module').syncBuiltinESMExports();
};
