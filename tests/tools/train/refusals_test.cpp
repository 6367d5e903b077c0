// Bad input to `tardigrad train`.

#include "tests/support/refusal.h"

namespace tardigrad {
namespace {

using testing::Refusal;

class BadInput : public testing::RefusalTest {};

TEST_P(BadInput, IsRefusedInOneLine) { expect_refusal(); }

const std::string quadratic_run = "--model quadratic:problem.json --method dude --lr 0.1 --updates 3 ";
const std::string image_run = "--model mlp --dataset mnist --data-dir . --method dude --lr 0.1 --updates 3 ";

INSTANTIATE_TEST_SUITE_P(
    Cases, BadInput,
    ::testing::Values(
        Refusal{"--model quadratic:problem.json --method dud --lr 0.1 --updates 3", "did you mean dude?"},
        Refusal{"--model quadratic:problem.json --method dude --lr nan --updates 3",
                "--lr: nan is not a positive number"},
        Refusal{"--model quadratic:problem.json --method dude --lr -1 --updates 3", "--lr: -1 is not"},
        Refusal{"--model quadratic:problem.json --method dude --lr 0.1", "no end given: expected --updates"},
        Refusal{"--model quadratic:problem.json --method dude --updates 3", "--lr is required"},
        Refusal{"--model own:thing --method dude --lr 0.1 --updates 3",
                "--model own:thing: an objective of that kind is brought by a program"},
        Refusal{"--model quadratic:problem.json --method own:thing --lr 0.1 --updates 3",
                "--method own:thing: a method of that kind is brought by a program"},
        Refusal{quadratic_run + "--clock virtual", "--clock virtual needs a delay model"},
        Refusal{quadratic_run + "--compute-time linear:1:1+network:0:1e9",
                "+network goes with --clock virtual"},
        Refusal{quadratic_run + "--clock sundial", "--clock sundial: unknown; known: wall, virtual"},
        Refusal{quadratic_run + "--compute-time 1,2,3", "one time for each of the 2 workers, found 3"},
        Refusal{quadratic_run + "--compute-time never", "--compute-time never: expected measured"},
        Refusal{quadratic_run + "--throttle 2=5x", "--throttle 2=5x: there is no worker 2; expected"},
        Refusal{quadratic_run + "--completions soon", "--completions soon: unknown"},
        Refusal{quadratic_run + "--workers 3", "--workers: 3 for the 2 workers of problem.json"},
        Refusal{quadratic_run + "--device cuda:77", "--device cuda:77"},
        Refusal{quadratic_run + "--device cpu:0", "--device cpu:0: expected a number of CPU devices"},
        Refusal{quadratic_run + "--device tpu", "--device tpu: unknown; expected auto"},
        Refusal{quadratic_run + "--device cpu --server-device cuda:99", "--server-device cuda:99: no"},
        Refusal{quadratic_run + "--device cpu --server-device cpu:", "--server-device cpu:: unknown"},
        Refusal{quadratic_run + "--device cpu --server-device all", "all: unknown; expected one device: cpu"},
        Refusal{quadratic_run + "--sync-over nccl", "--sync-over has no use with --method dude"},
        Refusal{
            "--model quadratic:problem.json --method sync --lr 0.1 --updates 3 --device cpu --sync-over nccl",
            "--sync-over nccl: works between GPUs, and the workers are on cpu:0"},
        Refusal{"--model quadratic:problem.json --method sync --lr 0.1 --updates 3 --sync-over mpi",
                "--sync-over mpi needs --ranks mpi: an all-reduce is over the processes of mpirun"},
        Refusal{
            "--model quadratic:problem.json --method sync --lr 0.1 --updates 3 --ranks mpi --sync-over nccl "
            "--worker-timeout 5",
            "--worker-timeout has no use with --sync-over nccl"},
        Refusal{
            "--model quadratic:problem.json --method sync --lr 0.1 --updates 3 --ranks mpi --sync-over mpi "
            "--worker-timeout 5",
            "--worker-timeout has no use with --sync-over mpi"},
        Refusal{"--model quadratic:tridiagonal:9000 --workers 2 --method dude --lr 0.1 --updates 3 --device "
                "cpu --server-shards 4",
                "--server-shards 4: expected 3 or fewer, one for each 4096 of the 9000 parameters"},
        Refusal{quadratic_run + "--ranks mpi --sync-over mpi --method sync --server-shards 2",
                "--server-shards has no use with --sync-over mpi: every rank keeps the model"},
        Refusal{quadratic_run + "--ranks mpi --server-device cuda:0 --server-shards 2",
                "--server-device cuda:0 needs --device cuda with --server-shards and --ranks mpi"},
        Refusal{quadratic_run + "--ranks mpi --sync-over mpi --method sync --server-device cpu",
                "--server-device has no use with --sync-over mpi: every rank keeps the model"},
        Refusal{quadratic_run + "--server-shards 0", "--server-shards: 0 is not a whole number from 1 to"},
        Refusal{quadratic_run + "--gradient-route tunnel", "--gradient-route tunnel: unknown"},
        Refusal{quadratic_run + "--init absent.safetensors", "absent.safetensors: cannot be read"},
        Refusal{quadratic_run + "--init problem.json", "problem.json: not a safetensors file"},
        Refusal{quadratic_run + "--eval-every soon", "--eval-every soon: expected updates such as"},
        Refusal{quadratic_run + "--eval-every 0", "--eval-every 0: expected"},
        Refusal{quadratic_run + "--epochs 2", "--epochs has no use with --model quadratic"},
        Refusal{quadratic_run + "--target-accuracy 0.5 --eval-every 1", "--target-accuracy has no use"},
        Refusal{quadratic_run + "--dataset mnist", "--dataset has no use with --model quadratic"},
        Refusal{quadratic_run + "--augment", "--augment has no use with --model quadratic"},
        Refusal{quadratic_run + "--precision bf16",
                "--precision bf16: --model quadratic is computed in fp32"},
        Refusal{image_run + "--workers 2 --device cpu --precision tf32",
                "--precision tf32: the run would be on"},
        Refusal{image_run + "--workers 2 --precision fp8", "--precision fp8: unknown"},
        Refusal{image_run + "--workers 2 --cuda-graphs maybe", "--cuda-graphs maybe: unknown"},
        Refusal{quadratic_run + "--gather 3", "--gather 3: expected 1 to the number of workers (2)"},
        Refusal{quadratic_run + "--frobnicate", "--frobnicate"},
        Refusal{quadratic_run + "--updates many", "--updates: many is not a whole number from 1 to"},
        Refusal{quadratic_run + "--updates 0", "--updates: 0 is not a whole number from 1 to"},
        Refusal{quadratic_run + "--updates 1.5", "--updates"},
        Refusal{"--model quadratic:absent.json --method dude --lr 0.1 --updates 3",
                "absent.json: cannot be read"},
        Refusal{"--model quadratic:tridiagonal:9 --method dude --lr 0.1 --updates 3", "needs --workers"},
        Refusal{"--model quadratic:tridiagonal:0 --workers 2 --method dude --lr 0.1 --updates 3",
                "D a whole number from 1 to 2147483647"},
        Refusal{"--model quadratic:tridiagonal:9:noise=-1 --workers 2 --method dude --lr 0.1 --updates 3",
                "noise=-1: expected noise=VALUE"},
        Refusal{"--model quadratic:tridiagonal:9:nose=1 --workers 2 --method dude --lr 0.1 --updates 3",
                "did you mean noise?"},
        Refusal{"--model quadratic:train-labels-idx1-ubyte --method dude --lr 1 --updates 3",
                "not a JSON object"},
        Refusal{"--model transformer --dataset mnist --method dude --lr 0.1 --updates 3",
                "--model transformer: unknown"},
        Refusal{"--model mlp --method dude --lr 0.1 --updates 3", "--model mlp needs a --dataset"},
        Refusal{"--model mlp --dataset mist --method dude --lr 0.1 --updates 3", "did you mean mnist?"},
        Refusal{"--model mlp --dataset mnist --data-dir nowhere --method dude --lr 0.1 --updates 3",
                "fetch_data.sh mnist"},
        Refusal{image_run + "--workers 41", "41 workers"},
        Refusal{image_run + "--workers 2 --partition random", "random"},
        Refusal{image_run + "--workers 2 --partition dirichlet:0", "dirichlet"},
        Refusal{image_run + "--workers 2 --sampling none", "none"},
        Refusal{image_run + "--workers 0", "--workers"},
        Refusal{image_run + "--batch-size 0", "--batch-size: 0 is not a whole number from 1 to 65536"},
        Refusal{image_run + "--batch-size 4,,4", "--batch-size: 4,,4 is not a whole number from 1 to"},
        Refusal{image_run + "--workers 2 --batch-size 4,4,4", "--batch-size 4,4,4: 3 sizes, and the run has"},
        Refusal{image_run + "--momentum 0.9 --optimizer adamw",
                "--momentum has no use with --optimizer adamw"},
        Refusal{image_run + "--beta2 0.9",
                "--beta1, --beta2 and --epsilon have no use without --optimizer adamw"},
        Refusal{image_run + "--optimizer adam", "--optimizer adam: unknown; did you mean adamw?"},
        Refusal{image_run + "--lr-schedule warmup:0", "--lr-schedule warmup:0: expected constant, cosine"},
        Refusal{image_run + "--image-size 32", "--image-size, --colour and --skip-broken have no use with"},
        Refusal{"--model logistic --dataset libsvm:nowhere --method dude --lr 0.1 --updates 3",
                "nowhere: cannot be opened"},
        Refusal{"--model logistic --dataset libsvm:a --data-dir . --method dude --lr 0.1 --updates 3",
                "--data-dir has no use with --dataset libsvm:a"},
        Refusal{quadratic_run + "--test-share 0.1", "--test-share has no use with --model quadratic"},
        Refusal{quadratic_run + "--normalise none", "--normalise has no use with --model quadratic"},
        Refusal{image_run + "--normalise half", "normalisation 'half': expected measured, none, or"},
        Refusal{image_run + "--test-share 0.2", "the data have a test set of their own"},
        Refusal{"--model mlp:0 --dataset mnist --data-dir . --method dude --lr 0.1 --updates 3",
                "model mlp:0: expected mlp:WIDTH"},
        Refusal{image_run + "--workers 2 --partition file:", "partition 'file:': expected iid"},
        Refusal{image_run + "--workers 2 --partition folders", "partition folders: the data do not say"},
        Refusal{image_run + "--eval-examples 0", "--eval-examples: 0 is not a whole number from 1 to"},
        Refusal{quadratic_run + "--eval-examples 5", "--eval-examples has no use with --model quadratic"},
        Refusal{quadratic_run + "--target-gradient-norm-sq 0 --eval-every 1 --eval-gradient",
                "--target-gradient-norm-sq: 0 is not a positive number"},
        Refusal{quadratic_run + "--target-gradient-norm-sq 1 --eval-every 1", "needs --eval-every and"},
        Refusal{quadratic_run + "--target-gradient-norm-sq 1 --eval-gradient", "needs --eval-every and"},
        Refusal{image_run + "--target-accuracy 0.5", "--target-accuracy needs --eval-every"}));

}  // namespace
}  // namespace tardigrad
