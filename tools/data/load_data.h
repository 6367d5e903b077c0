#pragma once

#include "data/dataset.h"
#include "tools/options/train_options.h"

namespace tardigrad {

/// Reads the data that the options name, with as many threads as there is hardware, and says on stderr how
/// far it is where that takes long. Images are decoded into ${TARDIGRAD_DATA:-the user's cache}/decoded;
/// those that were decoded before are read at once, to find out whether they are damaged, or mapped, as
/// `access` says. Throws as data::load_data does.
data::Dataset load_dataset(const TrainOptions& options, data::PixelAccess access = data::PixelAccess::read);

}  // namespace tardigrad
