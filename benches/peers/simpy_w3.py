"""W3 and M/M/1 with SimPy: a process for each request, resources for cores and connections."""

import random
import sys

import simpy

RATE, INSTANCES, CORES, APP_MEAN = 3360.0, 12, 4, 0.010
POOL, DB_MEAN, TIMEOUT = 20, 1 / 1200, 1.0
MM1_RATE, MM1_MEAN = 9000.0, 0.0001

latencies = []
timeouts = 0


def work(env, cpu, connections, db):
    with cpu.request() as core:
        yield core
        yield env.timeout(random.expovariate(1 / APP_MEAN))
    with connections.request() as connection:
        yield connection
        with db.request() as core:
            yield core
            yield env.timeout(random.expovariate(1 / DB_MEAN))


def request(env, cpu, connections, db):
    global timeouts
    came = env.now
    answer = env.process(work(env, cpu, connections, db))
    yield answer | env.timeout(TIMEOUT)
    if answer.processed:
        latencies.append(env.now - came)
    else:
        timeouts += 1


def w3(env):
    cpus = [simpy.Resource(env, CORES) for _ in range(INSTANCES)]
    pools = [simpy.Resource(env, POOL) for _ in range(INSTANCES)]
    db = simpy.Resource(env, CORES)
    number = 0
    while True:
        yield env.timeout(random.expovariate(RATE))
        env.process(request(env, cpus[number], pools[number], db))
        number = (number + 1) % INSTANCES


def mm1_request(env, server):
    came = env.now
    with server.request() as core:
        yield core
        yield env.timeout(random.expovariate(1 / MM1_MEAN))
    latencies.append(env.now - came)


def mm1(env):
    server = simpy.Resource(env, 1)
    while True:
        yield env.timeout(random.expovariate(MM1_RATE))
        env.process(mm1_request(env, server))


random.seed(42)
env = simpy.Environment()
env.process({"w3": w3, "mm1": mm1}[sys.argv[1]](env))
env.run(until=float(sys.argv[2]))
latencies.sort()
n = len(latencies)
print(n, 1e3 * sum(latencies) / n, 1e3 * latencies[int(0.99 * n)], timeouts)
