"""Softmax, log-softmax and log-sum-exp of the rows of a matrix, along its last axis."""

import numpy as np
from worker import serve


def torch():
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    functions = {"softmax": torch.softmax, "log_softmax": torch.log_softmax, "log_sum_exp": torch.logsumexp}

    def prepare(method, function, logits):
        x = torch.from_numpy(np.load(logits))
        function = functions[function]
        out = function(x, -1)
        return lambda: function(x, -1, out=out), lambda out: out.numpy()

    return prepare


def onnxruntime():
    import onnxruntime
    from onnx import TensorProto, helper

    # The operator and its inputs besides the logits.
    functions = {
        "softmax": ("Softmax", {"axis": -1}, []),
        "log_softmax": ("LogSoftmax", {"axis": -1}, []),
        "log_sum_exp": ("ReduceLogSumExp", {"keepdims": 0}, [("axes", TensorProto.INT64, [1], [-1])]),
    }

    def prepare(method, function, logits):
        x = np.load(logits)
        kind = helper.np_dtype_to_tensor_dtype(x.dtype)
        operator, attributes, constants = functions[function]
        shape = x.shape[:1] if function == "log_sum_exp" else x.shape
        node = helper.make_node(operator, ["x", *(name for name, *_ in constants)], ["y"], **attributes)
        graph = helper.make_graph(
            [node],
            function,
            [helper.make_tensor_value_info("x", kind, x.shape)],
            [helper.make_tensor_value_info("y", kind, shape)],
            [helper.make_tensor(*constant) for constant in constants],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        value, out = onnxruntime.OrtValue.ortvalue_from_numpy(x), np.empty(shape, x.dtype)
        result = onnxruntime.OrtValue.ortvalue_from_numpy(out)
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", value)
        binding.bind_ortvalue_output("y", result)
        return lambda: session.run_with_iobinding(binding), lambda _: result.numpy()

    return prepare


def jax():
    import jax

    jax.config.update("jax_enable_x64", True)
    # A call returns when its work is done, without the hand-over to another thread.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    functions = {"softmax": jax.nn.softmax, "log_softmax": jax.nn.log_softmax, "log_sum_exp": jax.nn.logsumexp}

    def prepare(method, function, logits):
        x = jax.numpy.asarray(np.load(logits))
        function = functions[function]
        compiled = jax.jit(lambda x: function(x, axis=-1))
        return lambda: compiled(x).block_until_ready(), np.asarray

    return prepare


def scipy():
    from scipy import special

    functions = {"softmax": special.softmax, "log_softmax": special.log_softmax, "log_sum_exp": special.logsumexp}

    def prepare(method, function, logits):
        x = np.load(logits)
        function = functions[function]
        return lambda: function(x, axis=-1), np.asarray

    return prepare


serve({"torch": torch, "onnxruntime": onnxruntime, "jax": jax, "scipy": scipy})
