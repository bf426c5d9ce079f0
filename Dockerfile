# One file, one target per image: query-api, stream-hub, kafka-ingest (the simulator too), nginx, warehouse. compose builds them all.

FROM node:24-trixie-slim AS pnpm
WORKDIR /opt/pnpm
COPY tools/toolchain/pnpm/ ./
RUN npm ci --ignore-scripts --no-audit --no-fund && ln -s "$(echo "$PWD"/node_modules/@pnpm/exe.linux-*/pnpm)" /usr/local/bin/pnpm
WORKDIR /app
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml tsconfig.base.json ./
COPY packages/ packages/

# Not `pnpm deploy`: Node strips no types below node_modules, so the workspace stays a workspace.
FROM pnpm AS query-api-files
COPY services/query-api/ services/query-api/
RUN --mount=type=cache,id=pnpm,target=/pnpm pnpm install --prod --frozen-lockfile --trust-lockfile --ignore-scripts --store-dir /pnpm --filter '@flasktoria/query-api...'

FROM pnpm AS stream-hub-files
COPY services/stream-hub/ services/stream-hub/
RUN --mount=type=cache,id=pnpm,target=/pnpm pnpm install --prod --frozen-lockfile --trust-lockfile --ignore-scripts --store-dir /pnpm --filter '@flasktoria/stream-hub...'

FROM pnpm AS kafka-ingest-files
COPY services/kafka-ingest/ services/kafka-ingest/
RUN --mount=type=cache,id=pnpm,target=/pnpm pnpm install --prod --frozen-lockfile --trust-lockfile --ignore-scripts --store-dir /pnpm --filter '@flasktoria/kafka-ingest...'

FROM pnpm AS console-files
COPY apps/console/ apps/console/
RUN --mount=type=cache,id=pnpm,target=/pnpm pnpm install --frozen-lockfile --trust-lockfile --ignore-scripts --store-dir /pnpm --filter '@flasktoria/console...' \
 && pnpm --filter @flasktoria/console build

FROM node:24-trixie-slim AS service
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 NODE_COMPILE_CACHE=/opt/compiled
RUN install -d -o 1000 -g 1000 /opt/compiled
WORKDIR /app
USER 1000:1000
EXPOSE 8080

FROM service AS query-api
COPY --from=query-api-files /app ./
RUN node --max-semi-space-size=8 services/query-api/src/main.ts --check-config > /dev/null
# Streams make garbage as fast as it is collected: more room for it would only cost memory (docs/operations.md).
CMD ["node", "--max-semi-space-size=8", "services/query-api/src/main.ts"]

FROM service AS stream-hub
COPY --from=stream-hub-files /app ./
RUN node services/stream-hub/src/main.ts --check-config > /dev/null
CMD ["node", "services/stream-hub/src/main.ts"]

FROM service AS kafka-ingest
COPY --from=kafka-ingest-files /app ./
RUN node services/kafka-ingest/src/main.ts --check-config > /dev/null
# A named volume takes over the owner of the folder that it is mounted on first.
COPY --from=kafka-ingest-files --chown=1000:1000 /mnt /history
CMD ["node", "services/kafka-ingest/src/main.ts"]

FROM nginx:1.30 AS nginx
COPY --from=console-files /app/apps/console/dist /usr/share/nginx/html
COPY deploy/nginx.conf deploy/upstreams.conf deploy/listen.conf /etc/flasktoria/
USER 101:101
EXPOSE 8080
ENTRYPOINT ["nginx", "-e", "stderr", "-p", "/tmp", "-c", "/etc/flasktoria/nginx.conf"]
CMD []

# A HiveServer2 for sites that have none: the Spark Thrift Server over the files of the history writer.
FROM apache/spark:3.5.9 AS warehouse
COPY deploy/warehouse/ /etc/flasktoria/
USER root
RUN install -d -o 185 -g 185 /var/lib/warehouse && install -d -o 1000 -g 1000 /history
USER 185:185
WORKDIR /var/lib/warehouse
EXPOSE 10000
ENTRYPOINT ["java", "@/etc/flasktoria/java.options", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"]
CMD ["--hiveconf", "hive.server2.thrift.port=10000", "--hiveconf", "hive.server2.authentication=NOSASL"]
