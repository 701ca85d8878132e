package weir;

import com.amazonaws.services.dynamodbv2.local.embedded.DynamoDBEmbedded;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.core.interceptor.SdkExecutionAttribute;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClientBuilder;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.exceptions.InvalidStateException;
import software.amazon.kinesis.exceptions.ShutdownException;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * Reads a stream by polling, from its beginning, until standard input ends, and says on standard output what it met,
 * one JSON object a line: records, shards begun and ended, media types spoken.
 *
 * <p>Arguments: endpoint, stream, and {@code defaults} (CBOR over HTTP/2) or {@code json} (JSON over HTTP/1.1).
 */
public final class Judge {
    private static final PrintStream OUT = System.out;
    private static final Region REGION = Region.US_EAST_1;
    private static final StaticCredentialsProvider KEYS =
            StaticCredentialsProvider.create(AwsBasicCredentials.create("local", "local"));

    private Judge() {}

    public static void main(String[] arguments) throws Exception {
        URI endpoint = URI.create(arguments[0]);
        String stream = arguments[1];
        boolean json = switch (arguments[2]) {
            case "defaults" -> false;
            case "json" -> true;
            default -> throw new IllegalArgumentException(arguments[2]);
        };
        // Libraries that print must not stand between the lines.
        System.setOut(System.err);

        DynamoDbAsyncClient dynamo = DynamoDBEmbedded.create().dynamoDbAsyncClient();
        // No metrics are published: nobody listens there, and nobody is asked.
        CloudWatchAsyncClient metrics = CloudWatchAsyncClient.builder()
                .endpointOverride(URI.create("http://127.0.0.1:9")).region(REGION).credentialsProvider(KEYS).build();

        Scheduler scheduler = scheduler(stream, kinesis(endpoint, json), dynamo, metrics);
        Thread reading = new Thread(scheduler, "scheduler");
        reading.setDaemon(true);
        reading.start();

        while (System.in.read() >= 0) {
            // Only the end of it says something.
        }
        // Whoever closed it has seen all. A graceful end would have this only worker take its leases back and read on.
        say("{\"event\":\"stopped\"}");
        Runtime.getRuntime().halt(0);
    }

    private static KinesisAsyncClient kinesis(URI endpoint, boolean json) {
        KinesisAsyncClientBuilder builder = KinesisAsyncClient.builder()
                .endpointOverride(endpoint).region(REGION).credentialsProvider(KEYS)
                .overrideConfiguration(o -> o.addExecutionInterceptor(new Listener()));
        if (json) {
            System.setProperty("aws.cborEnabled", "false");
            return builder.httpClientBuilder(NettyNioAsyncHttpClient.builder().protocol(Protocol.HTTP1_1)).build();
        }
        return KinesisClientUtil.createKinesisAsyncClient(builder);
    }

    private static Scheduler scheduler(
            String stream, KinesisAsyncClient kinesis, DynamoDbAsyncClient dynamo, CloudWatchAsyncClient metrics) {
        InitialPositionInStreamExtended beginning =
                InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        ConfigsBuilder configs = new ConfigsBuilder(
                new SingleStreamTracker(stream, beginning), "judge", kinesis, dynamo, metrics,
                UUID.randomUUID().toString(), Processor::new);
        // The intervals are shorter than KCL's own, which are made for fleets that run for months.
        var workers = configs.leaseManagementConfig().workerUtilizationAwareAssignmentConfig();
        workers.disableWorkerMetrics(true).inMemoryWorkerMetricsCaptureFrequencyMillis(500)
                .workerMetricsReporterFreqInMillis(1000);
        var management = configs.leaseManagementConfig()
                .workerUtilizationAwareAssignmentConfig(workers)
                .failoverTimeMillis(5000)
                .leaseAssignmentIntervalMillis(1000L)
                .shardSyncIntervalMillis(1000)
                .leasesRecoveryAuditorExecutionFrequencyMillis(1000)
                .listShardsCacheAllowedAgeInSeconds(1);
        var coordinator = configs.coordinatorConfig()
                .parentShardPollIntervalMillis(300)
                .shardConsumerDispatchPollIntervalMillis(200)
                .schedulerInitializationBackoffTimeMillis(200)
                .maxInitializationAttempts(5);
        var polling = new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(250);
        return new Scheduler(
                configs.checkpointConfig(), coordinator, management,
                configs.lifecycleConfig().taskBackoffTimeMillis(200),
                configs.metricsConfig().metricsFactory(new NullMetricsFactory()),
                configs.processorConfig(),
                configs.retrievalConfig().retrievalSpecificConfig(polling));
    }

    private static void say(String line) {
        synchronized (OUT) {
            OUT.println(line);
            OUT.flush();
        }
    }

    private static String quote(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    /** Says once of each operation which media types its requests and answers had. */
    private static final class Listener implements ExecutionInterceptor {
        private final Set<String> said = ConcurrentHashMap.newKeySet();

        @Override
        public void afterTransmission(Context.AfterTransmission context, ExecutionAttributes attributes) {
            String operation = attributes.getAttribute(SdkExecutionAttribute.OPERATION_NAME);
            String asked = context.httpRequest().firstMatchingHeader("Content-Type").orElse("");
            String answered = context.httpResponse().firstMatchingHeader("Content-Type").orElse("");
            int status = context.httpResponse().statusCode();
            if (said.add(operation + asked + answered + status)) {
                say("{\"event\":\"spoke\",\"operation\":" + quote(operation) + ",\"asked\":" + quote(asked)
                        + ",\"answered\":" + quote(answered) + ",\"status\":" + status + "}");
            }
        }
    }

    /** One shard's reader. */
    private static final class Processor implements ShardRecordProcessor {
        private String shard;

        @Override
        public void initialize(InitializationInput input) {
            shard = input.shardId();
            say("{\"event\":\"begun\",\"shard\":" + quote(shard) + ",\"from\":"
                    + quote(input.extendedSequenceNumber().sequenceNumber()) + "}");
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            for (KinesisClientRecord record : input.records()) {
                say("{\"event\":\"record\",\"shard\":" + quote(shard)
                        + ",\"sequence\":" + quote(record.sequenceNumber())
                        + ",\"sub\":" + record.subSequenceNumber()
                        + ",\"arrived_ms\":" + record.approximateArrivalTimestamp().toEpochMilli()
                        + ",\"key\":" + quote(record.partitionKey())
                        + ",\"data\":" + quote(StandardCharsets.UTF_8.decode(record.data()).toString()) + "}");
            }
            if (!input.records().isEmpty()) {
                checkpoint(input.checkpointer());
            }
        }

        @Override
        public void leaseLost(LeaseLostInput input) {
            say("{\"event\":\"lost\",\"shard\":" + quote(shard) + "}");
        }

        @Override
        public void shardEnded(ShardEndedInput input) {
            checkpoint(input.checkpointer());
            say("{\"event\":\"ended\",\"shard\":" + quote(shard) + "}");
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            checkpoint(input.checkpointer());
        }

        private static void checkpoint(RecordProcessorCheckpointer checkpointer) {
            try {
                checkpointer.checkpoint();
            } catch (InvalidStateException | ShutdownException problem) {
                throw new IllegalStateException(problem);
            }
        }
    }
}
