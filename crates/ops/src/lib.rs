//! Tensor operators of the networks: a fast CPU path, a portable path and gradients, on top of candle alone.
//!
//! One file holds one operator. Every operator dispatches by itself: tensors of 32-bit floats on the CPU take the fast
//! path, everything else takes the `_portable` twin, which is made of stock candle operators and gives the same
//! numbers within 1e-4. All operators are differentiable by [`candle_core::Tensor::backward`].
//!
//! | what | where |
//! |---|---|
//! | transposed convolution, convolution | [`conv_transpose2d`](mod@conv_transpose2d), [`conv2d`](mod@conv2d) |
//! | fully connected layer, on rows and on rows picked from tables | [`linear`](mod@linear), [`gathered_linear`](mod@gathered_linear) |
//! | activations, alone and inside the operators above | [`prelu`](mod@prelu), [`leaky_relu`](mod@leaky_relu), [`activation`] |
//! | pooling, normalisation | [`max_pool2d`](mod@max_pool2d), [`local_response_norm`](mod@local_response_norm) |
//! | sampling under affine maps, and under a flow | [`affine_sample`](mod@affine_sample), [`warp`](mod@warp) |
//! | regularisation | [`dropout`](mod@dropout), [`spectral_norm`](mod@spectral_norm) |
//! | losses | [`squared_error`](mod@squared_error), [`absolute_error`](mod@absolute_error), [`softmax_cross_entropy`](mod@softmax_cross_entropy) |
//! | training | [`gradient_buffers`], [`adam`], [`recycling_allocator`] |
//! | measuring | [`timing`], [`roof`] |

pub mod absolute_error;
pub mod activation;
pub mod adam;
pub mod affine_sample;
mod columns;
pub mod conv2d;
pub mod conv_transpose2d;
mod convolution;
pub mod dropout;
pub mod error;
mod fast_path;
pub mod gathered_linear;
pub mod gradient_buffers;
pub mod leaky_relu;
pub mod linear;
pub mod local_response_norm;
mod matrix_product;
pub mod max_pool2d;
pub mod prelu;
pub mod recycling_allocator;
pub mod roof;
mod scratch;
pub mod softmax_cross_entropy;
pub mod spectral_norm;
pub mod squared_error;
pub mod timing;
mod toom_cook;
mod transpose;
pub mod warp;
mod weighted;

pub use absolute_error::absolute_error;
pub use activation::Activation;
pub use adam::{Adam, AdamConfig, AdamParam};
pub use affine_sample::{affine_sample, affine_sample_portable};
pub use conv_transpose2d::{
    ConvTranspose2dConfig, conv_transpose2d, conv_transpose2d_activated, conv_transpose2d_activated_portable,
    conv_transpose2d_portable,
};
pub use conv2d::{Conv2dConfig, conv2d, conv2d_activated, conv2d_activated_portable, conv2d_portable};
pub use dropout::{DropoutConfig, dropout, dropout_portable};
pub use error::{Error, Result};
pub use fast_path::with_portable_path;
pub use gathered_linear::{gathered_linear, gathered_linear_portable};
pub use gradient_buffers::GradientBuffers;
pub use leaky_relu::{leaky_relu, leaky_relu_portable};
pub use linear::{linear, linear_activated, linear_activated_portable, linear_portable};
pub use local_response_norm::{LocalResponseNormConfig, local_response_norm, local_response_norm_portable};
pub use max_pool2d::{MaxPool2dConfig, max_pool2d, max_pool2d_portable};
pub use prelu::{prelu, prelu_portable};
pub use recycling_allocator::RecyclingAllocator;
pub use softmax_cross_entropy::{softmax_cross_entropy, softmax_cross_entropy_portable};
pub use spectral_norm::spectral_norm;
pub use squared_error::{squared_error, squared_error_portable};
pub use warp::{warp, warp_portable};
