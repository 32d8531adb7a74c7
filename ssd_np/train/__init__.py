"""Training: optimiser, schedule, the loop, checkpoints, pretraining."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.train.average import Averaged as Averaged
    from ssd_np.train.average import averaged as averaged
    from ssd_np.train.average import optimiser_of as optimiser_of
    from ssd_np.train.bar import Bar as Bar
    from ssd_np.train.best import Best as Best
    from ssd_np.train.budget import Budget as Budget
    from ssd_np.train.budget import set_length as set_length
    from ssd_np.train.callbacks import Callback as Callback
    from ssd_np.train.callbacks import Step as Step
    from ssd_np.train.checkpoint import Checkpoint as Checkpoint
    from ssd_np.train.checkpoint import Progress as Progress
    from ssd_np.train.checkpoint import conditions_of as conditions_of
    from ssd_np.train.checkpoint import frozen as frozen
    from ssd_np.train.checkpoint import load_checkpoint as load_checkpoint
    from ssd_np.train.checkpoint import save_checkpoint as save_checkpoint
    from ssd_np.train.log import Log as Log
    from ssd_np.train.log import LossCurve as LossCurve
    from ssd_np.train.log import columns_for as columns_for
    from ssd_np.train.log import read_log as read_log
    from ssd_np.train.match import match_batch as match_batch
    from ssd_np.train.origin import begin as begin
    from ssd_np.train.origin import sign as sign
    from ssd_np.train.parts import Loss as Loss
    from ssd_np.train.parts import LossAndGradients as LossAndGradients
    from ssd_np.train.parts import LossValue as LossValue
    from ssd_np.train.parts import Optimiser as Optimiser
    from ssd_np.train.parts import Schedule as Schedule
    from ssd_np.train.parts import check_parts as check_parts
    from ssd_np.train.parts import checked_loss as checked_loss
    from ssd_np.train.parts import checked_rate as checked_rate
    from ssd_np.train.parts import name_of as name_of
    from ssd_np.train.parts import require_methods as require_methods
    from ssd_np.train.parts import ssd_loss as ssd_loss
    from ssd_np.train.postmortem import PostMortem as PostMortem
    from ssd_np.train.postmortem import first_broken as first_broken
    from ssd_np.train.postmortem import report as report
    from ssd_np.train.pretrain import Classifier as Classifier
    from ssd_np.train.pretrain import Crops as Crops
    from ssd_np.train.pretrain import accuracy as accuracy
    from ssd_np.train.pretrain import classifier_config as classifier_config
    from ssd_np.train.ready import check_callbacks as check_callbacks
    from ssd_np.train.ready import check_data as check_data
    from ssd_np.train.ready import check_ready as check_ready
    from ssd_np.train.ready import claim_folder as claim_folder
    from ssd_np.train.ready import mapping_of as mapping_of
    from ssd_np.train.safety import check_before_writing as check_before_writing
    from ssd_np.train.safety import saving_first as saving_first
    from ssd_np.train.safety import untouched as untouched
    from ssd_np.train.schedule import learning_rate as learning_rate
    from ssd_np.train.sgd import SGD as SGD
    from ssd_np.train.sgd import gradient_norm as gradient_norm
    from ssd_np.train.sgd import learning as learning
    from ssd_np.train.sgd import shortening as shortening
    from ssd_np.train.start import beginning as beginning
    from ssd_np.train.start import fitted as fitted
    from ssd_np.train.start import looks as looks
    from ssd_np.train.start import network as network
    from ssd_np.train.start import settle as settle
    from ssd_np.train.start import validate_every as validate_every
    from ssd_np.train.start import validations as validations
    from ssd_np.train.stop import Stopped as Stopped
    from ssd_np.train.stop import StopRequests as StopRequests
    from ssd_np.train.trainer import Trainer as Trainer
    from ssd_np.train.trainer import TrainResult as TrainResult
else:
    __getattr__, __dir__ = contents(__name__, __file__)
